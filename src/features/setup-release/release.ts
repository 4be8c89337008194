import type { Db, Tx } from '../../db/index.ts'
import { actOfServer } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { buildCommand } from '../../protocol/mdm/index.ts'
import type { Attempts } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Devices, Enrollment } from '../devices/index.ts'
import { firstCommandsOf } from '../enrollment/index.ts'
import { configurationDeadlineMinutes, type EnrollmentPolicies } from '../enrollment-policies/index.ts'
import type { Events, EventType, PublishedEvent } from '../events/index.ts'
import * as store from './store.ts'

const PAGE = 500
/** What a device has said is followed in less than a second; what was not by then is not told of. */
const FORGOTTEN_AFTER_SECONDS = 60
/** The pause after a DeviceConfigured that failed doubles with each. */
const FIRST_PAUSE_SECONDS = 15
/** So long after a DeviceConfigured at most it is looked at again, whatever was told of it. */
const LONGEST_PAUSE_SECONDS = 3_600

/** What a release goes on with: a device waits, one of its commands has ended, or it has left. */
export const RELEASE_FACTS = [
  'device.enrolled',
  'device.token_updated',
  'command.acknowledged',
  'command.failed',
  'command.cancelled',
  'command.expired',
  'device.checked_out',
  'device.unenrolled',
] as const satisfies readonly EventType[]

/** What letting phones out of Setup Assistant is made of. */
interface ReleaseDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  attempts: Pick<Attempts, 'step'>
  devices: Pick<Devices, 'awaitingIds' | 'lockEnrollment' | 'updateEnrollment'>
  commands: Pick<Commands, 'enqueue' | 'stateOf'>
  policies: Pick<EnrollmentPolicies, 'find'>
}

/** How phones are let out of Setup Assistant. */
export type SetupRelease = ReturnType<typeof createSetupRelease>

/** A device that waits is let go when its first commands are done, at the latest at a stored deadline. */
export function createSetupRelease(deps: ReleaseDeps) {
  return {
    /** Subscription on `RELEASE_FACTS`. */
    async follow(facts: readonly PublishedEvent[]): Promise<void> {
      for (const fact of facts) if (fact.data['awaiting_configuration'] === true) await remember(deps, fact)
      const ids = new Set(facts.flatMap(({ enrollment_id: id }) => id ?? []))
      for (const id of await store.owedAmong(deps.db.kysely, [...ids])) await goOn(deps, id)
    },
    /** Job: goes on with what is due, and finds devices that wait and were not told of. */
    async run(): Promise<void> {
      await findForgotten(deps)
      for (let after = ''; ;) {
        const due = await store.listDue(deps.db.kysely, { now: deps.clock.now(), after, limit: PAGE })
        for (const id of due) await goOn(deps, id)
        const last = due.at(-1)
        if (last === undefined || due.length < PAGE) return
        after = last
      }
    },
  }
}

/** Owes a device its release that has said that it waits: with its first TokenUpdate, which has it asked something, or later. */
function remember(deps: ReleaseDeps, said: PublishedEvent): Promise<void> {
  if (said.enrollment_id === null) return Promise.resolve()
  return said.type === 'device.enrolled'
    ? owe(deps, said.enrollment_id, { at: said.at, command_uuids: firstCommandsOf(said) })
    : owe(deps, said.enrollment_id, { at: said.at })
}

function owe(
  deps: ReleaseDeps,
  id: string,
  { at, command_uuids }: { at: Date; command_uuids?: string[] },
): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const device = await deps.devices.lockEnrollment(trx, id)
    if (!device?.awaiting_configuration || hasLeft(device, at)) return
    const before = await store.find(trx, id)
    // What was heard before is not begun anew, and what is said again while it is owed changes nothing.
    if (before && (before.created_at >= at || (command_uuids === undefined && before.released_at === null)))
      return
    const policy = device.policy_id === null ? undefined : await deps.policies.find(trx, device.policy_id)
    const minutes = configurationDeadlineMinutes(policy ?? { ade: { configuration_deadline_minutes: null } })
    await store.owe(trx, {
      enrollment_id: id,
      deadline: addTime(at, minutes, 'minute'),
      command_uuids: command_uuids ?? [],
      created_at: at,
    })
  })
}

/** A device that has left, or enrolled anew since, is owed nothing of before. */
function hasLeft({ unenrolled_at, authenticated_at }: Enrollment, since: Date): boolean {
  return unenrolled_at !== null || (authenticated_at !== null && authenticated_at > since)
}

/** Goes on with what a device is owed, as far as it can at this moment. */
function goOn(deps: ReleaseDeps, id: string): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const device = await deps.devices.lockEnrollment(trx, id)
    const owed = await store.lockOwed(trx, id)
    if (owed === undefined) return
    if (device === undefined || hasLeft(device, owed.created_at)) return store.forget(trx, id)
    if (owed.configured_uuid !== null) return settle(trx, deps, owed, device)
    const reason = await reasonToSend(trx, deps, owed)
    if (reason !== undefined) await send(trx, deps, owed, reason)
  })
}

async function reasonToSend(trx: Tx, { clock, commands }: ReleaseDeps, owed: store.Release) {
  const now = clock.now()
  if (owed.retry_at !== null && owed.retry_at > now) return undefined
  // Once it was let go, a device that answered with an error is asked again whatever else is pending.
  if (owed.reason !== null) return owed.reason
  const states = []
  for (const uuid of owed.command_uuids) states.push(await commands.stateOf(trx, owed.enrollment_id, uuid))
  if (states.every((state) => state !== undefined && state !== 'pending')) return 'commands_done'
  return owed.deadline <= now ? 'deadline' : undefined
}

/** Queues DeviceConfigured. */
async function send(
  trx: Tx,
  deps: ReleaseDeps,
  { enrollment_id: id }: store.Release,
  reason: 'commands_done' | 'deadline',
): Promise<void> {
  const uuid = newAppleUuid()
  await deps.commands.enqueue(trx, actOfServer(), {
    uuid,
    requestType: 'DeviceConfigured',
    body: buildCommand(uuid, 'DeviceConfigured', {}),
    targets: [id],
    priority: reason === 'deadline' ? 'high' : 'normal',
  })
  const retry_at = addTime(deps.clock.now(), LONGEST_PAUSE_SECONDS, 'second')
  await store.update(trx, id, { configured_uuid: uuid, reason, retry_at })
}

/** Takes note of what the device said to DeviceConfigured. */
async function settle(trx: Tx, deps: ReleaseDeps, owed: store.Release, device: Enrollment): Promise<void> {
  const { enrollment_id: id, configured_uuid: uuid, tries } = owed
  const state = await deps.commands.stateOf(trx, id, uuid ?? '')
  if (state === 'acknowledged') return released(trx, deps, owed, device)
  const pause =
    state === 'pending'
      ? LONGEST_PAUSE_SECONDS
      : Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(tries, 10))
  const retry_at = addTime(deps.clock.now(), pause, 'second')
  await store.update(
    trx,
    id,
    state === 'pending' ? { retry_at } : { configured_uuid: null, tries: tries + 1, retry_at },
  )
}

async function released(trx: Tx, deps: ReleaseDeps, owed: store.Release, device: Enrollment): Promise<void> {
  const now = deps.clock.now()
  const { enrollment_id: id, reason } = owed
  await store.update(trx, id, { released_at: now })
  await deps.devices.updateEnrollment(trx, id, { awaiting_configuration: false, updated_at: now })
  const detail = { released_by: reason, tries: owed.tries + 1 }
  if (device.attempt_id !== null)
    await deps.attempts.step(trx, device.attempt_id, { step: 'configured', outcome: 'passed', detail })
  await deps.events.emit(trx, {
    type: 'device.configured',
    enrollment_id: id,
    serial_number: device.serial_number,
    attempt_id: device.attempt_id,
    data: { ...detail, waited_seconds: Math.round((now.getTime() - owed.created_at.getTime()) / 1_000) },
  })
}

/** What a device says again and again is not told each time, also not that it waits. */
async function findForgotten(deps: ReleaseDeps): Promise<void> {
  const { db, clock, devices } = deps
  const before = addTime(clock.now(), -FORGOTTEN_AFTER_SECONDS, 'second')
  for (let after = ''; ;) {
    const waiting = await devices.awaitingIds(db.kysely, { before, after, limit: PAGE })
    const forgotten = waiting.length === 0 ? [] : await store.withoutRelease(db.kysely, waiting)
    for (const id of forgotten) {
      await owe(deps, id, { at: clock.now() })
      await goOn(deps, id)
    }
    const last = waiting.at(-1)
    if (last === undefined || waiting.length < PAGE) return
    after = last
  }
}
