import type { Db, Tx } from '../../db/index.ts'
import { FIRST_PUSH_AGAIN_MINUTES } from '../../db/statements/push-again.ts'
import { actOfServer, type Act } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { mayUnsuit, type Part, type UnsuitedReason } from '../../protocol/mdm/index.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import type { CarriedOut, Governor, Verdict } from '../governor/index.ts'
import type { Push } from '../push/index.ts'
import { sealBody } from './bodies.ts'
import { fromParams, governedActOf, QUEUE, toParams } from './governed.ts'
import type { NewCommand } from './new-command.ts'
import { PRIORITIES } from './priorities.ts'
import * as queue from './queue-store.ts'
import { findCommand } from './store.ts'

/** Rows handled by one statement of a background job. */
const SWEEP_BATCH = 1_000

interface QueueDeps {
  db: Db
  clock: Clock
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
  governor: Pick<Governor, 'ask'>
  devices: Pick<Devices, 'liveIds'>
  push: Pick<Push, 'request'>
  /** The PayloadIdentifier of our enrollment profile. */
  enrollmentIdentifier: string
}

/**
 * Queues a command with `trx` and asks for the pushes, unless it destroys something and has to wait for a second person. Errors:
 * `conflict` when the uuid was used before or a target is not enrolled, and those of the governor.
 */
export async function enqueue(trx: Tx, deps: QueueDeps, act: Act, command: NewCommand): Promise<Verdict> {
  const targets = [...new Set(command.targets)]
  const live = await deps.devices.liveIds(trx, targets)
  const unknown = targets.filter((id) => !live.has(id))
  if (unknown.length > 0) throw new AppError('conflict', `Not enrolled: ${unknown.slice(0, 10).join(', ')}`)
  const governed = governedActOf(command, deps.enrollmentIdentifier)
  if (governed === undefined) {
    await addNew(trx, deps, act, { ...command, targets })
    return { approval: null, undoUntil: null }
  }
  if (await queue.isKnown(trx, command.uuid)) throw used(command)
  const verdict = await deps.governor.ask(trx, act, {
    ...{ act: governed, deviceIds: targets, role: 'operator' },
    ...{ deed: QUEUE, params: toParams(command) },
  })
  if (verdict.approval === null)
    await addNew(trx, deps, act, { ...takenBackUntil(command, verdict.undoUntil), targets, governed })
  return verdict
}

async function addNew(trx: Tx, deps: QueueDeps, act: Act, command: NewCommand): Promise<void> {
  if ((await add(trx, deps, act, [command])) === 0) throw used(command)
}

function used({ uuid }: NewCommand): AppError {
  return new AppError('conflict', `The CommandUUID ${uuid} was used before.`)
}

function takenBackUntil(command: NewCommand, until: Date | null): NewCommand {
  const { notBefore } = command
  return until === null || (notBefore !== undefined && notBefore > until)
    ? command
    : { ...command, notBefore: until }
}

/** Queues a command that a second person has approved. */
export async function carryOut(
  trx: Tx,
  deps: QueueDeps,
  { act, params, deviceIds }: CarriedOut,
): Promise<void> {
  const command = fromParams(params)
  if (command.expiresAt !== undefined && command.expiresAt <= deps.clock.now())
    throw new AppError('stale', 'The command was to be sent before now.')
  await enqueue(trx, deps, act, { ...command, targets: deviceIds })
}

/**
 * Queues commands of our own whose UUIDs say what they are for, and are pushed for again after so many seconds. Those that were
 * queued before are left out, and devices that are not enrolled.
 */
export async function enqueueOnce(
  trx: Tx,
  deps: QueueDeps,
  commands: readonly NewCommand[],
  pushAgainSeconds: number,
): Promise<void> {
  const targets = commands.flatMap((command) => command.targets)
  const live = await deps.devices.liveIds(trx, targets)
  const wanted = commands.map((command) => ({
    ...command,
    targets: command.targets.filter((id) => live.has(id)),
  }))
  const some = wanted.filter((command) => command.targets.length > 0)
  await add(trx, deps, actOfServer(), some, pushAgainSeconds)
}

/** Gives how many of the commands are new. */
async function add(
  trx: Tx,
  deps: QueueDeps,
  act: Act,
  commands: readonly NewCommand[],
  pushAgainSeconds = FIRST_PUSH_AGAIN_MINUTES * 60,
): Promise<number> {
  const rows = commands.map((command) => toRow(deps, act, command))
  const added = await queue.insertCommands(trx, rows, pushAgainSeconds)
  const queued = commands.filter(({ uuid }) => added.has(uuid))
  if (queued.length === 0) return 0
  const pushed = queued.filter(({ push }) => push !== false)
  const now = pushed.filter(({ notBefore }) => notBefore === undefined)
  for (const [among, some] of Map.groupBy(now, (command) => command.among ?? 0))
    await deps.push.request(
      trx,
      some.flatMap(({ targets }) => targets),
      { among },
    )
  for (const { targets, notBefore } of pushed)
    if (notBefore !== undefined) await deps.push.request(trx, targets, { dueAt: notBefore })
  await deps.events.emit(
    trx,
    ...queued.map(({ uuid, requestType, targets }) => ({
      type: 'command.queued' as const,
      act,
      enrollment_id: targets.length === 1 ? targets[0]! : null,
      data: { command_uuid: uuid, request_type: requestType, devices: targets.length },
    })),
  )
  return queued.length
}

function toRow({ clock, secretBox }: QueueDeps, act: Act, command: NewCommand): queue.CommandRow {
  return {
    uuid: command.uuid,
    request_type: command.requestType,
    purpose: command.purpose ?? null,
    body: sealBody(secretBox, command.uuid, command.body),
    priority: PRIORITIES[command.priority ?? 'normal'],
    not_before: command.notBefore ?? null,
    expires_at: command.expiresAt ?? null,
    target_ids: [...command.targets],
    forced: command.forced ?? false,
    parts: partsToKeep(command.parts ?? []),
    created_by: nameOf(act),
    governed: command.governed ?? null,
    created_at: clock.now(),
  }
}

/** Of the parts of a command those for which a device may turn out to be unsuited; null for none, as with nearly all. */
function partsToKeep(parts: readonly Part[]): string | null {
  const kept = parts.filter(mayUnsuit)
  return kept.length === 0 ? null : JSON.stringify(kept)
}

/** Cancels all that is pending for these enrollments: they enrolled anew, left or were removed. */
export async function cancelAll(
  trx: Tx,
  deps: QueueDeps,
  act: Act,
  enrollmentIds: readonly string[],
  reason: 're_enrolled' | 'unenrolled' | null = null,
): Promise<void> {
  const gone = await queue.cancelPendingOf(trx, enrollmentIds, deps.clock.now(), reason)
  await tellEnd(trx, deps, 'command.cancelled', gone, act, reason)
}

/** Cancels a command that was about to be sent to an enrollment, for which it turned out to be unsuited. */
export function cancelUnsuited(
  deps: QueueDeps,
  unsuited: { enrollmentId: string; uuid: string; reason: UnsuitedReason },
  act: Act,
): Promise<void> {
  const { enrollmentId, uuid, reason } = unsuited
  return deps.db.transaction(async (trx) => {
    const gone = await queue.cancelUnsuited(trx, enrollmentId, uuid, deps.clock.now(), reason)
    await tellEnd(trx, deps, 'command.cancelled', gone, act, reason)
  })
}

/** Keeps commands from going out until the transaction ends, and gives those that are still to be answered. */
export async function holdBack(
  trx: Tx,
  of: readonly { enrollment_id: string; uuid: string }[],
): ReturnType<typeof queue.lockPending> {
  return of.length === 0 ? [] : queue.lockPending(trx, of)
}

/** Takes commands of our own back, sent or not: what they were to do is not wanted any more. */
export async function takeBack(
  trx: Tx,
  deps: QueueDeps,
  of: readonly { enrollment_id: string; uuid: string }[],
): Promise<void> {
  if (of.length === 0) return
  const gone = await queue.takeBack(trx, of, deps.clock.now())
  await tellEnd(trx, deps, 'command.cancelled', gone, actOfServer())
}

/** Cancels what has not been sent of a command; returns how many deliveries that were. */
export function cancel(deps: QueueDeps, uuid: string, act: Act): Promise<number> {
  return deps.db.transaction(async (trx) => {
    const command = await findCommand(trx, uuid)
    if (!command) throw new AppError('not_found', `There is no command ${uuid}.`)
    const gone = await queue.cancelUnsent(trx, uuid, command.target_ids, deps.clock.now())
    await tellEnd(trx, deps, 'command.cancelled', gone, act)
    return gone.length
  })
}

/** Cancels what has not been sent of all commands that destroy something. */
export async function cancelGoverned(trx: Tx, deps: QueueDeps, act: Act): Promise<void> {
  const gone = await queue.cancelGoverned(trx, deps.clock.now())
  await tellEnd(trx, deps, 'command.cancelled', gone, act, 'governor_stopped')
}

/** Ends deliveries whose time has run out. A background job. */
export function expire(deps: QueueDeps): Promise<void> {
  return sweep(deps.db, async (trx) => {
    const gone = await queue.expireDue(trx, deps.clock.now(), SWEEP_BATCH)
    await tellEnd(trx, deps, 'command.expired', gone, actOfServer())
    return gone.length
  })
}

/** Asks again for pushes to enrollments that should have come for their commands. A background job. */
export function pushAgain(deps: QueueDeps): Promise<void> {
  return sweep(deps.db, async (trx) => {
    const ids = await queue.takePushDue(trx, deps.clock.now(), SWEEP_BATCH)
    await deps.push.request(trx, ids)
    return ids.length
  })
}

/** Deletes commands older than `days` days that are nowhere pending; their results go with their partitions. */
export function forget(deps: QueueDeps, days: number): Promise<void> {
  const before = addTime(deps.clock.now(), -days, 'day')
  return sweep(deps.db, (trx) => queue.deleteCommandsBefore(trx, before, SWEEP_BATCH))
}

/** Does a part of the work in a transaction of its own until less than a whole part was left. */
async function sweep(db: Db, part: (trx: Tx) => Promise<number>): Promise<void> {
  while ((await db.transaction(part)) >= SWEEP_BATCH);
}

/** Who asked for a command, as it is told of that: null = the server itself. */
export function nameOf({ by }: Act): string | null {
  return by && `${by.kind}:${by.id}`
}

function tellEnd(
  trx: Tx,
  { events }: QueueDeps,
  type: 'command.cancelled' | 'command.expired',
  ended: readonly { enrollment_id: string; command_uuid: string; request_type: string | null }[],
  act: Act,
  reason: string | null = null,
): Promise<void> {
  const why = reason === null ? {} : { reason }
  const facts = ended.map(({ enrollment_id, ...data }) => ({ type, act, enrollment_id, data, ...why }))
  return events.emit(trx, ...facts)
}
