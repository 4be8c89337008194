import { serialNumberOf } from '../../../kernel/serial-number.ts'
import { afterCommit, type Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { EventData } from '../../events/index.ts'
import type { AdeDeps } from '../deps.ts'
import { findServer } from '../servers/store.ts'
import type { ListedSerial } from './serial-list.ts'
import * as store from './store.ts'

/** Which devices a policy is to be given to, or taken from. */
export type AssignRequest = { serials: readonly ListedSerial[]; isCsv: boolean } | { adeServerId: string }

/** Something that was asked for and cannot be done. */
interface Problem {
  serial_number: string
  /** Of a CSV. */
  line?: number
  problem: 'not_a_serial_number' | 'unknown' | 'not_ours_any_more' | 'has_another_policy'
}

/** What was written down (or would be); Apple is told in the background. */
interface Granted {
  changed: number
  unchanged: number
  problems: Problem[]
  /** Devices that their users enrolled and that are unenrolled, so that they can enrol as the policy says. */
  will_unenroll: string[]
}

/** Problems that an answer names one by one. */
const MAX_NAMED_PROBLEMS = 100
/** Serial numbers that are looked at, or written, at a time. */
const PART = 5_000

/** What administrators want of the assignment. `onChanged` is called after the commit. */
export function createAssignRequests(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'events' | 'policies' | 'devices'> & { onChanged: () => void },
) {
  const { db, clock, events } = deps

  async function tell(
    trx: Tx,
    reason: 'assign' | 'unassign',
    data: EventData<'ade_device.policy_set'>,
    act: Act,
  ): Promise<void> {
    await events.emit(trx, { type: 'ade_device.policy_set', act, reason, data })
    afterCommit(trx, deps.onChanged)
  }

  /** Those that came by themselves at power-on stay enrolled, and those whose serial numbers had a policy before. */
  async function findOtherwise(trx: Tx, selection: store.Selection): Promise<string[]> {
    const serials = await store.findWithoutPolicy(trx, selection)
    return [...(await deps.devices.enrolledOtherwise(trx, serials)).values()].flat()
  }

  return {
    /**
     * Gives devices a policy, or (`isDry`) tells what that would do. Refuses `not_found`, `policy_not_for_ade`, and
     * `invalid_request` when none of the devices is ours.
     */
    assign(policyId: string, request: AssignRequest, act: Act, isDry = false): Promise<Granted> {
      return db.bulk(async (trx) => {
        if ((await deps.policies.holdForAde(trx, policyId)) === undefined) throw noPolicy()
        const { selection, problems } = await sort(trx, request, () => true)
        const counts = { changed: 0, unchanged: 0 }
        const willUnenroll: string[] = []
        for (const part of partsOf(selection)) {
          willUnenroll.push(...(await findOtherwise(trx, part)))
          const { changed, unchanged } = isDry
            ? await store.countPolicy(trx, part, policyId)
            : await store.setPolicy(trx, part, policyId, clock.now())
          counts.changed += changed
          counts.unchanged += unchanged
        }
        const done = { ...counts, problems: problems.length, will_unenroll: willUnenroll.length }
        if (!isDry) await tell(trx, 'assign', { policy_id: policyId, ...done }, act)
        return { ...counts, problems, will_unenroll: willUnenroll }
      })
    },
    /** Takes a policy from devices that have it, or (`isDry`) tells what that would do. */
    unassign(policyId: string, request: AssignRequest, act: Act, isDry = false): Promise<Granted> {
      return db.bulk(async (trx) => {
        if ((await deps.policies.find(trx, policyId)) === undefined) throw noPolicy()
        const fits = (present: string | null) => present === null || present === policyId
        const { selection, problems } = await sort(trx, request, fits)
        let changed = 0
        for (const part of partsOf(selection)) {
          changed += isDry
            ? (await store.countPolicy(trx, part, policyId)).unchanged
            : await store.clearPolicy(trx, part, policyId, clock.now())
        }
        const done = { changed, problems: problems.length }
        if (!isDry) await tell(trx, 'unassign', { policy_id: policyId, ...done }, act)
        const unchanged = 'serials' in selection ? selection.serials.length - changed : 0
        return { changed, unchanged, problems, will_unenroll: [] }
      })
    },
  }
}

/** Sorts what was asked for; refuses `invalid_request` with every problem when nothing of it can be done. */
async function sort(
  trx: Tx,
  request: AssignRequest,
  fits: (policyId: string | null) => boolean,
): Promise<{ selection: store.Selection; problems: Problem[] }> {
  if ('adeServerId' in request) {
    if ((await findServer(trx, request.adeServerId)) === undefined) throw noServer()
    return { selection: { serverId: request.adeServerId }, problems: [] }
  }
  const good = new Set<string>()
  const problems: Problem[] = []
  // Part by part, so that others have their turn between.
  for (const part of inParts(request.serials)) {
    const asked = part.map(({ serial, line }) => ({ text: serial, line, serial: serialNumberOf(serial) }))
    const known = await store.findLive(trx, [...new Set(asked.flatMap(({ serial = [] }) => serial))])
    for (const { text, line, serial } of asked) {
      const problem = serial === undefined ? 'not_a_serial_number' : problemOf(known.get(serial), fits)
      if (serial !== undefined && problem === undefined) good.add(serial)
      else
        problems.push({
          serial_number: text.slice(0, 100),
          ...(request.isCsv && { line }),
          problem: problem!,
        })
    }
  }
  if (good.size === 0) throw nothingUsable(problems)
  return { selection: { serials: [...good] }, problems }
}

function noPolicy(): AppError {
  return new AppError('not_found', 'There is no enrollment policy with this id.')
}

function problemOf(
  device: { policyId: string | null; live: boolean } | undefined,
  fits: (policyId: string | null) => boolean,
): Problem['problem'] | undefined {
  if (device === undefined) return 'unknown'
  if (!device.live) return 'not_ours_any_more'
  return fits(device.policyId) ? undefined : 'has_another_policy'
}

function nothingUsable(problems: readonly Problem[]): AppError {
  return new AppError('invalid_request', 'There is no device among these that can be changed so.', {
    fields: problems.slice(0, MAX_NAMED_PROBLEMS).map(({ serial_number, line, problem }, index) => ({
      path: line === undefined ? `serial_numbers.${index}` : `line ${line}`,
      ...(line !== undefined && { pointer: null }),
      message: `${serial_number}: ${problem}`,
    })),
  })
}

function noServer(): AppError {
  return new AppError('invalid_request', 'There is no ADE server with this id.', {
    fields: [{ path: 'ade_server_id', message: 'there is no such server' }],
  })
}

/** The list in parts of a size that holds nobody up. */
function inParts<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / PART) }, (_, at) =>
    items.slice(at * PART, (at + 1) * PART),
  )
}

/** The selection in such parts. */
function partsOf(selection: store.Selection): store.Selection[] {
  return 'serials' in selection ? inParts(selection.serials).map((serials) => ({ serials })) : [selection]
}
