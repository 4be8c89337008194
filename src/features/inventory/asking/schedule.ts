import type { Db, Tx } from '../../../db/index.ts'
import { actOfServer } from '../../../kernel/act.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { PublishedEvent } from '../../events/index.ts'
import { ask, type AskDeps } from './ask.ts'
import * as store from './schedule-store.ts'

/** Devices that one transaction asks, and that are asked in one pass of the job: never all phones at once. */
const AT_ONCE = 250
const MOST_IN_A_PASS = 1_000
/** A device in lost mode is asked again so soon whether it is still: it may be left by other means than ours. */
const LOST_MODE_PAUSE_MINUTES = 30

interface ScheduleDeps extends AskDeps {
  db: Db
  clock: Clock
}

/**
 * Job: asks the devices that are due. The time from one asking to the next varies by a tenth to either side, so that devices which
 * enrolled in the same hour part; what a standstill has put off is caught up with at the pace of the passes.
 */
export async function askDue(deps: ScheduleDeps): Promise<void> {
  const { inventory_interval_hours: hours } = await deps.settings.get()
  if (hours === 0) return
  for (let asked = 0; asked < MOST_IN_A_PASS; asked += AT_ONCE) {
    const taken = await deps.db.transaction((trx) => askSome(trx, deps, hours))
    if (taken < AT_ONCE) return
  }
}

async function askSome(trx: Tx, deps: ScheduleDeps, hours: number): Promise<number> {
  const now = deps.clock.now()
  const ids = await store.takeDue(trx, { now, hours, limit: AT_ONCE })
  const devices = [...(await deps.devices.findEnrollments(trx, ids)).values()]
  const live = devices.filter(({ unenrolled_at: ended }) => ended === null)
  const lost = new Set(await lostAmong(trx, deps, live))
  await store.remove(
    trx,
    devices.flatMap(({ id, unenrolled_at: ended }) => (ended === null ? [] : [id])),
  )
  await store.putOff(trx, [...lost], addTime(now, LOST_MODE_PAUSE_MINUTES, 'minute'))
  await ask(
    trx,
    deps,
    actOfServer(),
    live,
    ({ id }, requestType) => !lost.has(id) || requestType === 'DeviceInformation',
  )
  return ids.length
}

/** The devices in lost mode, and the channels of their users. */
async function lostAmong(
  trx: Tx,
  { devices }: Pick<ScheduleDeps, 'devices'>,
  asked: readonly Enrollment[],
): Promise<string[]> {
  const parents = await devices.findEnrollments(
    trx,
    asked.flatMap(({ parent_id: id }) => id ?? []),
  )
  return asked
    .filter((each) => (parents.get(each.parent_id ?? '') ?? each).lost_mode_since !== null)
    .map(({ id }) => id)
}

/**
 * Devices, and users of theirs, that have just enrolled are asked for everything but what a device is, which was asked already; from
 * then on they are asked again and again.
 */
export async function begin(trx: Tx, deps: ScheduleDeps, enrolled: readonly PublishedEvent[]): Promise<void> {
  const { inventory_interval_hours: hours } = await deps.settings.get(trx)
  if (hours === 0) return
  const times = new Map(
    enrolled.flatMap(({ enrollment_id: id, at }) => (id === null ? [] : [[id, at] as const])),
  )
  const devices = await deps.devices.findEnrollments(trx, [...times.keys()])
  const live = [...devices.values()].filter(({ unenrolled_at: ended }) => ended === null)
  const wanted = live.map(({ id }) => ({ id, at: times.get(id) ?? deps.clock.now() }))
  const begun = new Set(await store.begin(trx, wanted, { now: deps.clock.now(), hours }))
  await ask(
    trx,
    deps,
    actOfServer(),
    live.filter(({ id }) => begun.has(id)),
    (_, requestType) => requestType !== 'DeviceInformation',
  )
}

/** The interval is another now: what was planned is planned anew. */
export async function planAnew(trx: Tx, deps: Pick<ScheduleDeps, 'settings'>): Promise<void> {
  const { inventory_interval_hours: hours } = await deps.settings.get(trx)
  if (hours > 0) await store.planAnew(trx, hours)
}
