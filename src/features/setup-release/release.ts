import type { Db, Tx } from '../../db/index.ts'
import { actOfServer } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { buildCommand } from '../../protocol/mdm/index.ts'
import type { Devices, Enrollment } from '../devices/index.ts'
import type { Attempts } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import { configurationDeadlineMinutes, type EnrollmentPolicies } from '../enrollment-policies/index.ts'
import type { Events } from '../events/index.ts'
import * as store from './store.ts'

const PAGE = 500
/** The pause after a DeviceConfigured that failed doubles with each. */
const FIRST_PAUSE_SECONDS = 15
const LONGEST_PAUSE_SECONDS = 3_600

/** What letting phones out of Setup Assistant is made of. */
interface ReleaseDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  attempts: Pick<Attempts, 'step'>
  devices: Pick<Devices, 'awaitingIds' | 'lockEnrollment' | 'updateEnrollment'>
  commands: Pick<Commands, 'enqueue' | 'pendingAmong' | 'stateOf'>
  policies: Pick<EnrollmentPolicies, 'find'>
}

/** Owes a device its release that said later than with its first TokenUpdate (db/statements) that it waits. */
async function oweRelease(
  trx: Tx,
  deps: Pick<ReleaseDeps, 'clock' | 'policies'>,
  device: Pick<Enrollment, 'id' | 'policy_id'>,
): Promise<void> {
  const now = deps.clock.now()
  const policy = device.policy_id === null ? undefined : await deps.policies.find(trx, device.policy_id)
  const minutes = configurationDeadlineMinutes(policy ?? { ade: { configuration_deadline_minutes: null } })
  await store.owe(trx, {
    enrollment_id: device.id,
    deadline: addTime(now, minutes, 'minute'),
    command_uuids: [],
    created_at: now,
  })
}

/** Job: goes on with every release that is owed, and finds devices that wait without one. */
export async function release(deps: ReleaseDeps): Promise<void> {
  await findForgotten(deps)
  for (let after = ''; ;) {
    const owed = await store.listOwed(deps.db.kysely, { now: deps.clock.now(), after, limit: PAGE })
    await goOnWith(deps, owed)
    const last = owed.at(-1)
    if (last === undefined || owed.length < PAGE) return
    after = last.enrollment_id
  }
}

async function goOnWith(deps: ReleaseDeps, owed: readonly store.Release[]): Promise<void> {
  const waitsFor = owed.flatMap(({ enrollment_id, configured_uuid, command_uuids }) =>
    (configured_uuid === null ? command_uuids : [configured_uuid]).map((uuid) => ({ enrollment_id, uuid })),
  )
  const pending = await deps.commands.pendingAmong(waitsFor)
  const now = deps.clock.now()
  for (const one of owed) {
    const waits = pending.has(one.enrollment_id)
    if (one.configured_uuid === null) {
      // Once it was let go, a device that answered with an error is asked again whatever else is pending.
      const reason = one.reason ?? (waits ? 'deadline' : 'commands_done')
      if (!waits || one.reason !== null || one.deadline <= now) await send(deps, one.enrollment_id, reason)
    } else if (!waits) await settle(deps, one.enrollment_id)
  }
}

/** Queues DeviceConfigured. */
function send(deps: ReleaseDeps, id: string, reason: 'commands_done' | 'deadline'): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const device = await deps.devices.lockEnrollment(trx, id)
    const owed = await store.lockOwed(trx, id)
    if (owed?.configured_uuid !== null) return
    if (isOver(owed, device)) return store.forget(trx, id)
    const uuid = newAppleUuid()
    await deps.commands.enqueue(trx, actOfServer(), {
      uuid,
      requestType: 'DeviceConfigured',
      body: buildCommand(uuid, 'DeviceConfigured', {}),
      targets: [id],
      priority: reason === 'deadline' ? 'high' : 'normal',
    })
    await store.update(trx, id, { configured_uuid: uuid, reason, retry_at: null })
  })
}

/** Takes note of what the device said to DeviceConfigured. */
function settle(deps: ReleaseDeps, id: string): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const device = await deps.devices.lockEnrollment(trx, id)
    const owed = await store.lockOwed(trx, id)
    if (!owed || owed.configured_uuid === null) return
    if (isOver(owed, device)) return store.forget(trx, id)
    const state = await deps.commands.stateOf(trx, id, owed.configured_uuid)
    if (state === 'pending') return
    if (state === 'acknowledged') return released(trx, deps, owed, device)
    const tries = owed.tries + 1
    const pause = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(owed.tries, 10))
    const retry_at = addTime(deps.clock.now(), pause, 'second')
    await store.update(trx, id, { configured_uuid: null, tries, retry_at })
  })
}

/** A device that has left, or enrolled anew since, is owed nothing of before. */
function isOver(owed: store.Release, device: Enrollment | undefined): device is undefined {
  if (device === undefined || device.unenrolled_at !== null) return true
  return device.authenticated_at !== null && device.authenticated_at > owed.created_at
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

/** A device may say later that it waits, in a message that is stored without a look at this. */
async function findForgotten(deps: ReleaseDeps): Promise<void> {
  const { db, devices } = deps
  for (let after = ''; ;) {
    const waiting = await devices.awaitingIds(db.kysely, { after, limit: PAGE })
    const forgotten = waiting.length === 0 ? [] : await store.withoutRelease(db.kysely, waiting)
    for (const id of forgotten) await remember(deps, id)
    const last = waiting.at(-1)
    if (last === undefined || waiting.length < PAGE) return
    after = last
  }
}

function remember(deps: ReleaseDeps, id: string): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const device = await deps.devices.lockEnrollment(trx, id)
    const isOwed = (await store.withoutRelease(trx, [id])).length === 0
    if (!device?.awaiting_configuration || device.unenrolled_at !== null || isOwed) return
    await oweRelease(trx, deps, device)
  })
}
