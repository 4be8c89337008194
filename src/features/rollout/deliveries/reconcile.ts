import { keyOf, type Wanted } from './desire.ts'
import { forgetThere, sentOf, thereOf } from './judge.ts'
import { clearFailure } from './settle.ts'
import type { Row } from './store.ts'
import type { Device, Goods, Version } from './types.ts'

/** Why a device is visited, as rows and events tell it. */
export interface Cause {
  cause: string
  changeId: string | null
}

/** What becomes of a device's rows. */
interface Reconciled {
  rows: Row[]
  /** Rows that are to be deleted at once. */
  dropped: Row[]
}

/** Makes the rows of a device those of what it is to have; what it is to have no more is on its way out. */
export function reconcile(
  device: Device,
  wanted: readonly Wanted[],
  rows: readonly Row[],
  goodsOf: (row: Pick<Row, 'kind' | 'thing_id'>, revision: number | null) => Goods | undefined,
  { now, cause, mayBeDone }: { now: Date; cause: Cause; mayBeDone: (row: Row) => boolean },
): Reconciled {
  const known = new Map(rows.map((row) => [keyOf(row.kind, row.thing_id), row]))
  const kept = wanted.map((one) => {
    const before = known.get(keyOf(one.kind, one.id))
    const row = before ?? newRow(device, one, { now, cause })
    want(row, one, { cause, mayBeDone })
    aim(row, device, goodsOf(row, row.revision), { cause, mayBeDone })
    return row
  })
  const keepers = new Map(
    kept.flatMap((row) => (row.identifier === null ? [] : [[keyOf(row.kind, row.identifier), row]])),
  )
  const staying = new Set(kept)
  const leaving = rows.filter((row) => !staying.has(row))
  const dropped = leaving.filter((row) => {
    const keeper = row.identifier === null ? undefined : keepers.get(keyOf(row.kind, row.identifier))
    return leave(row, keeper, { now, cause, mayBeDone })
  })
  const gone = new Set(dropped)
  return { rows: [...kept, ...leaving.filter((row) => !gone.has(row))], dropped }
}

function newRow(device: Device, one: Wanted, { now, cause }: { now: Date; cause: Cause }): Row {
  return {
    enrollment_id: device.id,
    kind: one.kind,
    thing_id: one.id,
    identifier: one.identifier,
    is_wanted: true,
    revision: one.revision,
    ring: one.ring,
    critical: one.critical,
    place: one.place,
    group_ids: one.groupIds,
    state: 'pending',
    reason: null,
    error_chain: null,
    attempts: 0,
    next_try_at: null,
    command_uuid: null,
    target_id: null,
    sent_revision: null,
    sent_rendering: null,
    there_revision: null,
    there_rendering: null,
    may_be_there: false,
    acknowledged_at: null,
    is_listed: false,
    asked_at: null,
    asks: 0,
    cause: cause.cause,
    change_id: cause.changeId,
    updated_at: now,
  }
}

function want(
  row: Row,
  one: Wanted,
  { cause, mayBeDone }: { cause: Cause; mayBeDone: (row: Row) => boolean },
): void {
  const comesBack = !row.is_wanted
  const isOther = row.revision !== one.revision
  Object.assign(row, {
    is_wanted: true,
    identifier: one.identifier ?? row.identifier,
    revision: one.revision,
    ring: one.ring,
    critical: one.critical,
    place: one.place,
    group_ids: one.groupIds,
  })
  if (comesBack) {
    // Its removal may have been done, or not: then it is sent again.
    if (mayBeDone(row) || row.attempts > 0 || thereOf(row) === null) forgetThere(row)
    row.command_uuid = null
    row.state = 'pending'
    clearFailure(row)
  }
  // Whatever is not done yet is part of the change that asks for it last.
  if (!comesBack && !isOther && (cause.changeId === null || row.state === 'installed')) return
  row.cause = cause.cause
  row.change_id = cause.changeId
}

/** Compares what a row is to have with what it has, and what is under way. */
function aim(
  row: Row,
  device: Device,
  goods: Goods | undefined,
  { cause, mayBeDone }: { cause: Cause; mayBeDone: (row: Row) => boolean },
): void {
  if (goods === undefined || row.revision === null) return
  const goal = { revision: row.revision, rendering: goods.rendering(device) }
  const sent = sentOf(row)
  if (row.command_uuid !== null) {
    if (isSame(sent, goal)) return
    if (mayBeDone(row)) forgetThere(row)
    row.command_uuid = null
    restart(row, cause)
  }
  if (isSame(thereOf(row), goal)) {
    // What has failed, or waits, was to replace what is wanted again.
    if ((row.state === 'failed' || row.state === 'waiting') && !isSame(sent, goal)) restart(row, cause)
    if (row.state === 'pending')
      row.state = goods.isThereWhenAcknowledged || row.is_listed ? 'installed' : 'queued'
  } else if (
    row.state === 'installed' ||
    (row.state !== 'pending' && row.state !== 'waiting' && !isSame(sent, goal))
  ) {
    // What has failed, or is under way, was something else.
    restart(row, cause)
  }
}

function restart(row: Row, cause: Cause): void {
  row.state = 'pending'
  clearFailure(row)
  if (cause.changeId !== null) row.change_id = cause.changeId
}

function isSame(one: Version | null, other: Version): boolean {
  return one !== null && one.revision === other.revision && one.rendering === other.rendering
}

/** Lets go of what is not wanted any more; true when nothing of it is left to be done. */
function leave(
  row: Row,
  keeper: Row | undefined,
  { now, cause, mayBeDone }: { now: Date; cause: Cause; mayBeDone: (row: Row) => boolean },
): boolean {
  if (keeper !== undefined) {
    // What takes its place replaces it on the device.
    if (row.may_be_there) keeper.may_be_there = true
    return true
  }
  if (!row.may_be_there) return true
  if (!row.is_wanted) {
    // A later change asks for its removal as well, which somebody may have stopped.
    row.change_id = cause.changeId ?? row.change_id
    return false
  }
  // Of what was under way nobody will hear any more whether it is there.
  if (mayBeDone(row)) forgetThere(row)
  row.is_wanted = false
  row.state = 'removing'
  row.command_uuid = null
  row.acknowledged_at = now
  row.asks = 0
  row.asked_at = null
  row.cause = cause.cause
  row.change_id = cause.changeId
  clearFailure(row)
  return false
}
