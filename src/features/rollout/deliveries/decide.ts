import { keyOf, type Wanted } from './desire.ts'
import { judge } from './judge.ts'
import { reconcile, type Cause } from './reconcile.ts'
import { schedule, type Plan } from './schedule.ts'
import { REFUSED, settle, type Settled } from './settle.ts'
import type { Row } from './store.ts'
import type { Device, End, Goods, Kind, Told } from './types.ts'

/** Finds what the engine asks of a revision. */
export type FindGoods = (kind: Kind, id: string, revision: number) => Goods | undefined

/** What a visit knows of a device. */
interface Visit {
  device: Device
  /** Its rows; they are not changed. */
  rows: readonly Row[]
  wanted: readonly Wanted[]
  /** What became of the command of a row that has one. */
  endOf: (row: Row) => End
  findGoods: FindGoods
  /** Changes that somebody has stopped. */
  stopped: ReadonlySet<string>
  cause: Cause
  now: Date
}

/** What a visit comes to. */
export interface Decision extends Plan {
  saves: Row[]
  deletes: Row[]
  /** Commands that are to be taken back. */
  cancels: { enrollment_id: string; uuid: string }[]
  told: Told[]
  /** Channels on which a profile was installed, so that they are to list them. */
  asksForProfiles: string[]
}

/**
 * Decides, from what is known of a device, how its deliveries stand and what is to be done now: first what its commands came to,
 * then what it has listed, then what it is to have, then what goes out. The same again changes nothing.
 */
export function decide(visit: Visit): Decision {
  const { device, wanted, now, cause, stopped } = visit
  const before = new Map(visit.rows.map((row) => [row, { ...row }]))
  const copies = new Map(visit.rows.map((row) => [keyOf(row.kind, row.thing_id), row]))
  const working = [...before.values()]
  const told: Told[] = []
  const sentAt = new Map<Row, Date | null>()
  const mayBeDone = new Set<Row>()
  const gone = new Set<Row>()
  for (const row of working) {
    const heard = hear(visit, row, { sentAt, mayBeDone })
    for (const { told: type, gone: isGone } of heard) {
      if (type !== undefined) told.push({ type, row })
      if (isGone === true) gone.add(row)
    }
  }
  const staying = working.filter((row) => !gone.has(row))
  const allowed = wanted.map((one) => heldBack(one, staying, mayBeDone))
  const { rows, dropped } = reconcile(
    device,
    allowed,
    staying,
    (row, revision) => goodsAt(visit, row, revision),
    {
      now,
      cause,
      mayBeDone: (row) => mayBeDone.has(row),
    },
  )
  const uncertain = new Set(wanted.filter((one) => one.isUncertain).map(({ kind, id }) => keyOf(kind, id)))
  const halted = new Set(wanted.filter((one) => one.fallback).map(({ kind, id }) => keyOf(kind, id)))
  const attemptsBefore = new Map(rows.map((row) => [row, row.state]))
  for (const row of rows) if (isHalted(row, stopped, mayBeDone)) row.command_uuid = null
  const plan = schedule(device, rows, {
    goodsOf: (row) => goodsFor(visit, row),
    isUncertain: (row) => uncertain.has(keyOf(row.kind, row.thing_id)),
    isStopped: (row) => row.change_id !== null && stopped.has(row.change_id),
    isHalted: (row) => halted.has(keyOf(row.kind, row.thing_id)),
    now,
  })
  for (const row of rows)
    if (row.state === 'failed' && attemptsBefore.get(row) !== 'failed' && !isKnownFailure(copies, row))
      told.push({ type: 'delivery.failed', row, revision: row.revision })
  const deletes = [...gone, ...dropped]
  const left = new Set(rows)
  const ordered = new Set(plan.orders.map(({ row }) => row))
  return {
    ...plan,
    // What is ordered is noted in its row when it is queued.
    saves: rows.filter(
      (row) => ordered.has(row) || isChanged(copies.get(keyOf(row.kind, row.thing_id)), row),
    ),
    deletes,
    cancels: [...before].flatMap(([old, row]) => cancelOf(visit, old, left.has(row) ? row : undefined)),
    told,
    asksForProfiles: told.flatMap(({ type, row }) =>
      row.kind === 'profile' && type === 'delivery.installed' && !row.is_listed
        ? (row.target_id ?? device.id)
        : [],
    ),
  }
}

/** The revision of a halted rollout goes to nobody more: it stays where it is, and where it has failed or may be done by now. */
function heldBack(one: Wanted, rows: readonly Row[], mayBeDone: ReadonlySet<Row>): Wanted {
  if (one.fallback === undefined) return one
  const row = rows.find(({ kind, thing_id }) => kind === one.kind && thing_id === one.id)
  const isThere = row !== undefined && row.there_revision === one.revision
  const isSent =
    row?.sent_revision === one.revision && (row.command_uuid === null ? hasFailed(row) : mayBeDone.has(row))
  return isThere || isSent ? one : { ...one, revision: one.fallback.revision }
}

const hasFailed = (row: Row) =>
  row.revision === row.sent_revision && (row.state === 'failed' || row.reason === REFUSED)

/** Takes in what became of a row's command, and what the device has listed. */
function hear(
  visit: Visit,
  row: Row,
  { sentAt, mayBeDone }: { sentAt: Map<Row, Date | null>; mayBeDone: Set<Row> },
): Settled[] {
  const { device, now } = visit
  const heard: Settled[] = []
  if (row.command_uuid !== null) {
    const end = visit.endOf(row)
    if (end.state === 'live') sentAt.set(row, end.sentAt)
    if (end.state === 'live' && end.mayBeDone) mayBeDone.add(row)
    heard.push(settle(row, end, goodsAt(visit, row, row.sent_revision ?? row.revision), now))
  }
  if (heard.some((one) => one.gone === true)) return heard
  heard.push(judge(row, seenBy(device, row), goodsFor(visit, row), { now, sentAt: sentAt.get(row) ?? null }))
  return heard
}

/** A device as the channel lists it to which a row went: what is a user's is in that one's list alone. */
function seenBy(device: Device, { target_id: target }: Row): Device {
  const profiles = target === null ? undefined : device.users.get(target)
  return profiles === undefined ? device : { ...device, listed: { ...device.listed, profiles } }
}

/** Of a revision that is under way or to be judged, what was sent counts; else what is wanted, or there. */
function goodsFor(visit: Visit, row: Row): Goods | undefined {
  const underWay = row.command_uuid !== null || row.reason === REFUSED
  const there = row.there_revision ?? row.sent_revision
  if (underWay) return goodsAt(visit, row, row.sent_revision ?? row.revision)
  if (!row.is_wanted || isKept(row)) return goodsAt(visit, row, there ?? row.revision)
  return goodsAt(visit, row, row.revision)
}

const isKept = ({ state }: Row) => state === 'installed' || state === 'queued'

function goodsAt(
  { findGoods }: Visit,
  { kind, thing_id: id }: Pick<Row, 'kind' | 'thing_id'>,
  revision: number | null,
) {
  return revision === null ? undefined : findGoods(kind, id, revision)
}

/** A change was stopped: what of it is surely not done is not to be. */
function isHalted(row: Row, stopped: ReadonlySet<string>, mayBeDone: ReadonlySet<Row>): boolean {
  if (row.change_id === null || !stopped.has(row.change_id) || row.command_uuid === null) return false
  if (mayBeDone.has(row)) return false
  if (row.is_wanted) row.state = 'pending'
  return true
}

function cancelOf(visit: Visit, old: Row, after: Row | undefined): Decision['cancels'] {
  const { command_uuid: uuid, target_id: target } = old
  if (uuid === null || target === null || after?.command_uuid === uuid) return []
  return visit.endOf(old).state === 'live' ? [{ enrollment_id: target, uuid }] : []
}

/** What could not be sent still cannot be: that is told already. */
function isKnownFailure(copies: ReadonlyMap<string, Row>, row: Row): boolean {
  const before = copies.get(keyOf(row.kind, row.thing_id))
  return before?.state === 'failed' && before.reason === row.reason && before.revision === row.revision
}

function isChanged(before: Row | undefined, after: Row): boolean {
  if (before === undefined) return true
  return (Object.keys(after) as (keyof Row)[]).some(
    (name) => name !== 'updated_at' && !isEqual(before[name], after[name]),
  )
}

function isEqual(one: unknown, other: unknown): boolean {
  if (one instanceof Date && other instanceof Date) return one.getTime() === other.getTime()
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((each, at) => each === other[at])
  return one === other
}
