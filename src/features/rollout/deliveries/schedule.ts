import { addTime } from '../../../kernel/clock.ts'
import { thereOf } from './judge.ts'
import { fail, REFUSED, wait } from './settle.ts'
import type { Row } from './store.ts'
import type { Device, Goods, Obstacle, Order } from './types.ts'

/** Seconds from one question for an unsettled app to the next; the last one for all that follow. */
const ASK_PAUSES = [5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400] as const
/** While a device waits in Setup Assistant it is asked at least every so many seconds. */
const HELD_PAUSE_SECONDS = 10

/** What is done for a device now, and when it is looked at again. */
export interface Plan {
  orders: Order[]
  /** The device is to list its apps. */
  asksForApps: boolean
  dueAt: Date | null
}

/** What decides beside the rows. */
interface Circumstances {
  goodsOf: (row: Row) => Goods | undefined
  /** Whether a group keeps a thing away cannot be said yet. */
  isUncertain: (row: Row) => boolean
  /** The change that brings it was stopped. */
  isStopped: (row: Row) => boolean
  /** The rollout that brings it is halted: what has failed is not tried again. */
  isHalted: (row: Row) => boolean
  now: Date
}

/** Decides what goes out to a device now. */
export function schedule(
  device: Device,
  rows: readonly Row[],
  { goodsOf, isUncertain, isStopped, isHalted, now }: Circumstances,
): Plan {
  const has = appsAmong(rows)
  const isLeft = (row: Row) => row.state === 'failed' && row.is_wanted && isHalted(row)
  const orders = rows.flatMap((row) => {
    if (row.command_uuid !== null) return []
    const goods = goodsOf(row)
    if (!row.is_wanted) return removalOf(device, row, goods, { isStopped: isStopped(row), now }) ?? []
    if (!needsInstall(row, now) || isLeft(row)) return []
    const held = isStopped(row) ? STOPPED : isUncertain(row) ? UNCERTAIN : undefined
    const obstacle = held ?? obstacleOf(device, row, goods, has)
    return obstacle === undefined
      ? (installOf(device, row, goods, now) ?? [])
      : (hinder(row, obstacle, now) ?? [])
  })
  // What keeps a thing back is known now, so it is known whose turn it is.
  const isReady = inTurn(device, rows, new Set(orders.map(({ row }) => row)))
  const asked = asksOf(device, rows, goodsOf, now)
  return {
    orders: orders.filter(({ row }) => isReady(row)),
    asksForApps: asked.isNow,
    // What was due and does not go out now waits for something else than time, and whatever ends that asks for a visit.
    dueAt: earliest([...rows.map(nextTryOf), asked.dueAt].filter((time) => time !== null && time > now)),
  }
}

/** What removes a thing that was deleted meanwhile. */
const REMOVALS = { profile: 'RemoveProfile', app: 'RemoveApplication' } as const

const STOPPED: Obstacle = { state: 'waiting', reason: 'change_stopped' }
const UNCERTAIN: Obstacle = { state: 'waiting', reason: 'fact_unknown' }

/** The apps of a device's contents, and those of them that are there. */
function appsAmong(rows: readonly Row[]): { wanted: Set<string>; there: Set<string> } {
  const apps = rows.filter(({ kind, is_wanted }) => kind === 'app' && is_wanted)
  const idsOf = (some: readonly Row[]) => new Set(some.flatMap(({ identifier }) => identifier ?? []))
  return { wanted: idsOf(apps), there: idsOf(apps.filter(({ state }) => state === 'installed')) }
}

const nextTryOf = (row: Row) => (row.command_uuid === null ? row.next_try_at : null)

function needsInstall(row: Row, now: Date): boolean {
  if (row.state === 'pending') return true
  if (row.state !== 'failed' && row.state !== 'waiting') return false
  if (row.state === 'waiting' && row.reason === 'waits_for_person') return false
  if (row.state === 'waiting' && row.next_try_at === null) return true
  return row.next_try_at !== null && row.next_try_at <= now
}

function installOf(device: Device, row: Row, goods: Goods | undefined, now: Date): Order | undefined {
  const how = goods?.install(device, thereOf(row))
  if (how === undefined) return undefined
  if ('state' in how) return hinder(row, how, now)
  if ('same' in how) {
    row.there_revision = row.revision
    row.there_rendering = goods?.rendering(device) ?? ''
    // Whatever is on its way is what is wanted: only a list says that it is there.
    row.state = goods?.isThereWhenAcknowledged === true || row.is_listed ? 'installed' : 'queued'
    row.reason = null
    return undefined
  }
  if (row.state !== 'failed') {
    row.state = 'pending'
    row.reason = null
  }
  return { row, requestType: how.requestType }
}

function obstacleOf(
  device: Device,
  row: Row,
  goods: Goods | undefined,
  has: ReturnType<typeof appsAmong>,
): Obstacle | undefined {
  if (row.revision === null || goods === undefined) return { state: 'waiting', reason: 'rollout' }
  if (device.isLost) return { state: 'waiting', reason: 'lost_mode' }
  if (goods.isForUser && lacksUser(device)) return { state: 'waiting', reason: 'no_user_channel' }
  const isMissing = goods.needsApps.some((id) => has.wanted.has(id) && !has.there.has(id))
  return isMissing ? { state: 'waiting', reason: 'app_missing' } : undefined
}

/** Only Macs know what is for a user; every other device takes it by its own channel. */
function lacksUser({ platform, userChannelId }: Device): boolean {
  return userChannelId === null && (platform === null || platform === 'macos')
}

/** Notes what keeps a thing back. It is looked into again whenever something about the device changes. */
function hinder(row: Row, { state, reason }: Obstacle, now: Date): undefined {
  if (row.state === state && row.reason === reason && row.next_try_at === null) return
  if (state === 'waiting') wait(row, reason, null)
  else fail(row, { reason, pauses: [] }, null, now)
}

function removalOf(
  device: Device,
  row: Row,
  goods: Goods | undefined,
  { isStopped, now }: { isStopped: boolean; now: Date },
): Order | undefined {
  if (row.next_try_at !== null && row.next_try_at > now) return undefined
  if (device.isLost || isStopped) {
    row.reason = isStopped ? 'change_stopped' : 'lost_mode'
    return undefined
  }
  row.identifier ??= goods?.identifier ?? null
  const requestType = goods === undefined ? REMOVALS[row.kind] : goods.remove()?.requestType
  return requestType === undefined || row.identifier === null ? undefined : { row, requestType }
}

/**
 * Whether it is a thing's turn. A device in Setup Assistant gets what is critical, one after the other: the next when the one
 * before is done, failed, or waits for something; one that has failed again when its time has come. All else comes when it has
 * been let go.
 */
function inTurn(device: Device, rows: readonly Row[], ordered: ReadonlySet<Row>): (row: Row) => boolean {
  if (!device.isHeld) return () => true
  const open = rows
    .filter((row) => row.is_wanted && row.critical && (isOpen(row) || ordered.has(row)))
    .toSorted((a, b) => a.place - b.place)
  return (row) => row === open[0]
}

/** Not done yet, and nothing but time is in its way. */
export function isOpen({ state, reason }: Pick<Row, 'state' | 'reason'>): boolean {
  if (state === 'waiting') return reason === null
  return state === 'pending' || state === 'queued'
}

function asksOf(
  device: Device,
  rows: readonly Row[],
  goodsOf: (row: Row) => Goods | undefined,
  now: Date,
): { isNow: boolean; dueAt: Date | null } {
  let isNow = false
  const dues: (Date | null)[] = []
  for (const row of rows) {
    if (!isUnsettled(row) || goodsOf(row) === undefined) continue
    const pause = ASK_PAUSES[Math.min(row.asks, ASK_PAUSES.length - 1)] ?? 0
    const seconds = device.isHeld ? Math.min(pause, HELD_PAUSE_SECONDS) : pause
    const due = addTime(
      row.asked_at ?? row.acknowledged_at ?? now,
      row.asked_at === null ? 0 : seconds,
      'second',
    )
    if (due > now || device.isLost) {
      dues.push(device.isLost ? null : due)
      continue
    }
    row.asked_at = now
    row.asks += 1
    isNow = true
    dues.push(addTime(now, seconds, 'second'))
  }
  return { isNow, dueAt: earliest(dues) }
}

/** An app that was asked for, and that no list has shown to be there yet; or one to be removed that nobody can name. */
function isUnsettled(row: Row): boolean {
  if (row.kind !== 'app' || row.command_uuid !== null || row.acknowledged_at === null) return false
  if (!row.is_wanted) return row.identifier === null
  return (
    row.state === 'queued' ||
    row.reason === REFUSED ||
    (row.state === 'waiting' && row.reason === 'waits_for_person')
  )
}

function earliest(times: readonly (Date | null)[]): Date | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : new Date(Math.min(...known.map((time) => time.getTime())))
}
