import type { Db, Tx } from '../../db/index.ts'
import { actOfServer } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import { buildCommand } from '../../protocol/mdm/index.ts'
import type { Attempts } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Devices, Enrollment } from '../devices/index.ts'
import { firstCommandsOf } from '../enrollment/index.ts'
import { configurationDeadlineMinutes, type EnrollmentPolicies } from '../enrollment-policies/index.ts'
import type { Events, EventType, PublishedEvent } from '../events/index.ts'
import * as store from './store.ts'

const PAGE = 500
/** What a device says when it enrols is followed in less than a second; what was not by then is not told of. */
const FORGOTTEN_AFTER_SECONDS = 60
/** Commands that end in the same moment are looked at together. */
const DEBOUNCE_MS = 100
/** The pause after a DeviceConfigured that failed doubles with each. */
const FIRST_PAUSE_SECONDS = 15
const LONGEST_PAUSE_SECONDS = 3_600

/** How a release begins, and what ends it before its time. */
export const RELEASE_FACTS = [
  'device.enrolled',
  'device.checked_out',
  'device.unenrolled',
] as const satisfies readonly EventType[]

/** What letting phones out of Setup Assistant is made of. */
interface ReleaseDeps {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  attempts: Pick<Attempts, 'step'>
  devices: Pick<Devices, 'awaitingIds' | 'lockEnrollment' | 'updateEnrollment'>
  commands: Pick<Commands, 'enqueue' | 'stateOf' | 'unfinishedAmong'>
  policies: Pick<EnrollmentPolicies, 'find'>
}

/** How phones are let out of Setup Assistant. */
export type SetupRelease = ReturnType<typeof createSetupRelease>

/** A device that waits is let go when its first commands are done, at the latest at a stored deadline. */
export function createSetupRelease(deps: ReleaseDeps) {
  const { db, clock, log } = deps
  const passes = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    async pass() {
      await findForgotten(deps)
      await goOnWithAll(deps)
    },
    onFailure: (error) =>
      log.error({ event: 'release.pass_failed', err: error }, 'releases could not be gone on with'),
  })

  return {
    /** Subscription on `RELEASE_FACTS`. */
    async follow(facts: readonly PublishedEvent[]): Promise<void> {
      for (const fact of facts) if (fact.data['awaiting_configuration'] === true) await remember(deps, fact)
      const ids = new Set(facts.flatMap(({ enrollment_id: id }) => id ?? []))
      for (const id of await store.owedAmong(db.kysely, [...ids])) await goOn(deps, id)
    },
    /** A command of a device has ended: soon goes on with the releases, if it may be one for which a device waits. */
    commandEnded(purpose: string | null, requestType: unknown): void {
      if (purpose === 'inventory' || requestType === 'DeviceConfigured') passes.wake()
    },
    /** Job: goes on with what is owed, and finds devices that wait and were not told of. */
    run: passes.run,
    close: passes.close,
  }
}

/** Goes on with what is owed where something has happened: the commands have ended, or the deadline has come. */
async function goOnWithAll(deps: ReleaseDeps): Promise<void> {
  for (let after = ''; ;) {
    const now = deps.clock.now()
    const owed = await store.listOwed(deps.db.kysely, { now, after, limit: PAGE })
    const waitsFor = owed.flatMap(({ enrollment_id, configured_uuid, command_uuids }) =>
      (configured_uuid === null ? command_uuids : [configured_uuid]).map((uuid) => ({ enrollment_id, uuid })),
    )
    const unfinished = await deps.commands.unfinishedAmong(waitsFor)
    for (const { enrollment_id: id, configured_uuid, deadline } of owed)
      if (!unfinished.has(id) || (configured_uuid === null && deadline <= now)) await goOn(deps, id)
    const last = owed.at(-1)
    if (last === undefined || owed.length < PAGE) return
    after = last.enrollment_id
  }
}

/** Owes a device its release that has said with its first TokenUpdate that it waits; that has it asked something, too. */
async function remember(deps: ReleaseDeps, said: PublishedEvent): Promise<void> {
  const { enrollment_id: id, at } = said
  if (id !== null) await owe(deps, id, { at, command_uuids: firstCommandsOf(said) })
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
  await store.update(trx, id, { configured_uuid: uuid, reason, retry_at: null })
}

/** Takes note of what the device said to DeviceConfigured. */
async function settle(trx: Tx, deps: ReleaseDeps, owed: store.Release, device: Enrollment): Promise<void> {
  const { enrollment_id: id, configured_uuid: uuid, tries } = owed
  const state = await deps.commands.stateOf(trx, id, uuid ?? '')
  if (state === 'pending') return
  if (state === 'acknowledged') return released(trx, deps, owed, device)
  const pause = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(tries, 10))
  const retry_at = addTime(deps.clock.now(), pause, 'second')
  await store.update(trx, id, { configured_uuid: null, tries: tries + 1, retry_at })
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

/** A device may say later that it waits, in a message of which nobody is told. */
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
