import { sql, type Selectable, type Updateable } from 'kysely'
import { serialNumberOf } from '../../kernel/serial-number.ts'
import { beginsWith, within, type Queries, type Tx } from '../../db/index.ts'
import type { SuitedDevice } from '../../protocol/mdm/index.ts'
import { isIdentifiedBy, toldThis, type DetailsFilter } from '../../db/statements/device-details.ts'
import type { EnrollmentsTable } from '../../db/tables/devices.ts'

/** A row of `enrollments`. */
export type Enrollment = Selectable<EnrollmentsTable>
const withId = (db: Queries, id: string) =>
  db
    .selectFrom('enrollments')
    .selectAll()
    .where(sql<boolean>`lower(id) = lower(${id})`)

/** The enrollment with that id, in whatever case it is spelled. */
export function findEnrollment(db: Queries, id: string): Promise<Enrollment | undefined> {
  return withId(db, id).executeTakeFirst()
}

/** These enrollments, by their ids as they are spelled here. */
export async function findEnrollments(db: Queries, ids: readonly string[]): Promise<Map<string, Enrollment>> {
  const rows = await db
    .selectFrom('enrollments')
    .selectAll()
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** The same, locked until the end of the transaction. */
export function lockEnrollment(trx: Tx, id: string): Promise<Enrollment | undefined> {
  return withId(trx, id).forUpdate().executeTakeFirst()
}

/** Channels that have not ended. */
const live = (db: Queries) => db.selectFrom('enrollments').where('unenrolled_at', 'is', null)

/** Devices that have not ended. */
const liveDevices = (db: Queries) => live(db).where('parent_id', 'is', null)

/** Adds an enrollment; nothing where the id is taken already (told by `false`). */
export async function insertEnrollment(
  trx: Tx,
  row: Pick<Enrollment, 'id' | 'type' | 'created_at' | 'updated_at'> & Partial<Enrollment>,
): Promise<boolean> {
  const added = await trx
    .insertInto('enrollments')
    .values(row)
    .onConflict((oc) => oc.doNothing())
    .executeTakeFirst()
  return (added.numInsertedOrUpdatedRows ?? 0n) > 0n
}

/** Changes an enrollment and raises its version. */
export async function updateEnrollment(
  trx: Tx,
  id: string,
  set: Updateable<EnrollmentsTable>,
): Promise<void> {
  await trx
    .updateTable('enrollments')
    .set({ ...set, version: sql<number>`version + 1` })
    .where('id', '=', id)
    .execute()
}

/** Removes the user channels of a device and returns their ids. */
export async function deleteUserChannels(trx: Tx, deviceId: string): Promise<string[]> {
  const rows = await trx.deleteFrom('enrollments').where('parent_id', '=', deviceId).returning('id').execute()
  return rows.map((row) => row.id)
}

/** The ids of a device's user channels. */
export async function userChannelIds(db: Queries, deviceId: string): Promise<string[]> {
  const rows = await db.selectFrom('enrollments').select('id').where('parent_id', '=', deviceId).execute()
  return rows.map((row) => row.id)
}

/** Removes an enrollment with its user channels and inventory. */
export async function deleteEnrollment(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('enrollments').where('id', '=', id).execute()
}

/** Bytes of check-in messages that are kept of an enrollment in a day: those of real devices have a few thousand. */
export const MOST_MESSAGE_BYTES = 4 * 1024 * 1024

/**
 * Keeps a check-in message as it came, sealed; `digest` is that of the message. A repetition of the last one is counted, and
 * what is beyond the bytes of a day is not kept; false then.
 */
export async function keepMessage(
  trx: Tx,
  message: { enrollment_id: string; message_type: string; received_at: Date; raw: Buffer },
  digest: Buffer,
): Promise<boolean> {
  const { enrollment_id, received_at, raw } = message
  const result = await sql<{ keeps: boolean }>`
    with before as (
      select id, message_digest is distinct from ${digest}::bytea as is_changed,
        messages_since is null or messages_since <= ${received_at}::timestamptz - interval '1 day' as is_new_day,
        message_bytes
      from enrollments where id = ${enrollment_id} for update
    ), counted as (
      select *, is_changed
        and ${raw.length}::integer + case when is_new_day then 0 else message_bytes end <= ${MOST_MESSAGE_BYTES}::integer as keeps
      from before
    )
    update enrollments e set message_digest = ${digest}::bytea,
      message_repeats = case when c.is_changed then 0 else e.message_repeats + 1 end,
      messages_since = case when c.is_new_day then ${received_at}::timestamptz else e.messages_since end,
      message_bytes = case when c.is_new_day then 0 else e.message_bytes end
        + case when c.keeps then ${raw.length}::integer else 0 end
    from counted c where e.id = c.id
    returning c.keeps`.execute(trx)
  const keeps = result.rows[0]?.keeps ?? false
  if (keeps) await trx.insertInto('checkin_messages').values(message).execute()
  return keeps
}

/** Devices that said Authenticate before `before` and never came back with a TokenUpdate; locked, at most `limit`. */
export function lockHalfEnrolled(trx: Tx, before: Date, limit: number): Promise<Enrollment[]> {
  return liveDevices(trx)
    .selectAll()
    .where('token_update_tally', '=', 0)
    .where('authenticated_at', '<=', before)
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute()
}

/** What a push needs to know of a channel. */
export type PushTarget = Pick<
  Enrollment,
  'id' | 'push_token' | 'push_magic' | 'topic' | 'push_state' | 'token_updated_at' | 'serial_number'
>

/** The live channels among `ids`, as a push needs them. */
export function findPushTargets(db: Queries, ids: readonly string[]): Promise<PushTarget[]> {
  return live(db)
    .select(['id', 'push_token', 'push_magic', 'topic', 'push_state', 'token_updated_at', 'serial_number'])
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
}

/**
 * What came of a push: `gone` stops pushing until the next TokenUpdate, unless one came after `at`. `unregisteredAt`: since when,
 * after the push went out at the latest, Apple says that the token that was used belongs to nobody.
 */
export interface PushRecord {
  id: string
  at: Date
  token: Buffer
  result: string
  gone: boolean
  unregisteredAt?: Date
}

/** Writes down what came of pushes, in one statement. */
export async function recordPushes(db: Queries, records: readonly PushRecord[]): Promise<void> {
  await sql`
    update enrollments e set last_push_at = r.at, last_push_result = r.result,
      push_state = case when r.gone and e.push_token = r.token and e.token_updated_at <= r.at
        then 'gone' else e.push_state end,
      push_reason = case when r.gone then r.result else e.push_reason end,
      unregistered_at = case when r.unregistered_at is null or e.push_token is distinct from r.token
          or r.unregistered_at < e.last_seen_at or r.unregistered_at < e.token_updated_at
        then e.unregistered_at else r.unregistered_at end
    from unnest(
      ${records.map((r) => r.id)}::text[], ${records.map((r) => r.at)}::timestamptz[],
      ${records.map((r) => r.token)}::bytea[], ${records.map((r) => r.result)}::text[],
      ${records.map((r) => r.gone)}::boolean[], ${records.map((r) => r.unregisteredAt ?? null)}::timestamptz[]
    ) as r (id, at, token, result, gone, unregistered_at)
    where e.id = r.id`.execute(db)
}

/** What the list of devices may be narrowed to. */
interface DeviceFilter extends DetailsFilter {
  serial_number?: string
  user_id?: string
  udid?: string
  state?: 'enrolled' | 'unenrolled'
  type?: Enrollment['type']
  policy_id?: string
  lost_mode?: boolean
  search?: string
  /** When it was seen last, RFC 3339. */
  since?: string
  until?: string
  after?: string
  limit: number
}

const IS_ENROLLED = sql<boolean>`(e.unenrolled_at is null and e.token_update_tally > 0)`

/** Its ids or its name begin so, or it is known by exactly this otherwise. */
function isFoundBy(search: string | undefined) {
  const begins = beginsWith(['e.id', 'e.serial_number', 'e.udid', 'e.device_name'], search)
  return search === undefined ? begins : sql<boolean>`(${begins} or ${isIdentifiedBy(search)})`
}

/** Enrollments by id. */
export function listDevices(db: Queries, filter: DeviceFilter): Promise<Enrollment[]> {
  let query = db
    .selectFrom('enrollments as e')
    .selectAll('e')
    .where(isFoundBy(filter.search))
    .where(toldThis(filter))
    .where(within('e.last_seen_at', filter))
    .orderBy('e.id')
    .limit(filter.limit)
  if (filter.after !== undefined) query = query.where('e.id', '>', filter.after)
  if (filter.serial_number !== undefined)
    query = query.where('e.serial_number', '=', serialNumberOf(filter.serial_number) ?? '')
  if (filter.udid !== undefined) query = query.where(sql`lower(e.udid)`, '=', filter.udid.toLowerCase())
  if (filter.type !== undefined) query = query.where('e.type', '=', filter.type)
  if (filter.policy_id !== undefined) query = query.where('e.policy_id', '=', filter.policy_id)
  if (filter.user_id !== undefined) query = query.where('e.user_id', '=', filter.user_id)
  if (filter.lost_mode !== undefined)
    query = query.where('e.lost_mode_since', filter.lost_mode ? 'is not' : 'is', null)
  if (filter.state === 'enrolled') query = query.where(IS_ENROLLED)
  if (filter.state === 'unenrolled') query = query.where(sql<boolean>`not ${IS_ENROLLED}`)
  return query.execute()
}

/** The newest answer of a kind: deflated JSON and when it came. */
export function findInventory(
  db: Queries,
  id: string,
  kind: string,
): Promise<{ data: Buffer; received_at: Date } | undefined> {
  return db
    .selectFrom('device_inventory')
    .select(['data', 'received_at'])
    .where('enrollment_id', '=', id)
    .where('kind', '=', kind)
    .executeTakeFirst()
}

/** The newest answers of these enrollments, each to the kind that stands beside it. */
export async function findInventories(
  db: Queries,
  wanted: readonly { enrollment_id: string; kind: string }[],
): Promise<{ enrollment_id: string; kind: string; data: Buffer; received_at: Date }[]> {
  const { rows } = await sql<{ enrollment_id: string; kind: string; data: Buffer; received_at: Date }>`
    select i.enrollment_id, i.kind, i.data, i.received_at
    from unnest(${wanted.map((each) => each.enrollment_id)}::text[], ${wanted.map(({ kind }) => kind)}::text[])
      as w (enrollment_id, kind)
    join device_inventory i on i.enrollment_id = w.enrollment_id and i.kind = w.kind`.execute(db)
  return rows
}

/** Which of these enrollments exist and are live. */
export async function liveIds(db: Queries, ids: readonly string[]): Promise<Set<string>> {
  const rows = await live(db)
    .select('id')
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  return new Set(rows.map((row) => row.id))
}

/** Whether a device that is enrolled has said Authenticate again since its last TokenUpdate. */
export async function authenticatesAgain(db: Queries, id: string): Promise<boolean> {
  const row = await liveDevices(db)
    .select('id')
    .where('id', '=', id)
    .where('authenticates_again', '=', true)
    .where('token_update_tally', '>', 0)
    .executeTakeFirst()
  return row !== undefined
}

/** Channels of whom the same is known, as far as it decides which commands suit them. */
interface SuitedChannels extends SuitedDevice {
  ids: string[]
}

/** Those of these channels that exist, by what decides which commands suit them; a user channel is on the device of its parent. */
export async function findSuited(db: Queries, ids: readonly string[]): Promise<SuitedChannels[]> {
  const { rows } = await sql<SuitedChannels>`
    select e.type, coalesce(d.product_name, e.product_name) as product_name,
      coalesce(d.os_version, e.os_version) as os_version, coalesce(d.supervised, e.supervised) as supervised,
      coalesce(d.way, e.way) as way,
      (e.unenrolled_at is not null or coalesce(d.erased_at, e.erased_at) is not null) as is_over,
      array_agg(e.id) as ids
    from enrollments e left join enrollments d on d.id = e.parent_id
    where e.id = any(${ids}::text[])
    group by 1, 2, 3, 4, 5, 6`.execute(db)
  return rows
}

/** The live device channels of these serial numbers, locked in the order of their ids. */
export function lockLiveOf(trx: Tx, serials: readonly string[]): Promise<Enrollment[]> {
  return liveDevices(trx)
    .selectAll()
    .where(sql<boolean>`serial_number = any(${serials}::text[])`)
    .orderBy('id')
    .forUpdate()
    .execute()
}

/** A device as a member of something: enough to know it by. */
type DeviceName = Pick<Enrollment, 'id' | 'serial_number' | 'device_name'>

const NAME_COLUMNS = ['id', 'serial_number', 'device_name'] as const

/** The device channels among `ids`, in whatever case they are spelled, live or not. */
export function findDeviceNames(db: Queries, ids: readonly string[]): Promise<DeviceName[]> {
  const keys = ids.map((id) => id.toLowerCase())
  return db
    .selectFrom('enrollments')
    .select(NAME_COLUMNS)
    .where(sql<boolean>`lower(id) = any(${keys}::text[])`)
    .where('parent_id', 'is', null)
    .execute()
}

/** What NanoMDM's enrollment query may narrow by; empty lists do not narrow. */
interface EnrollmentQuery {
  ids?: readonly string[]
  serials?: readonly string[]
  userShortNames?: readonly string[]
  types?: readonly Enrollment['type'][]
  enabled?: boolean
  limit: number
  offset: number
}

/** Enrollments by id, for NanoMDM's enrollment query. */
export function queryEnrollments(db: Queries, query: EnrollmentQuery): Promise<Enrollment[]> {
  let select = db.selectFrom('enrollments as e').selectAll('e').orderBy('e.id')
  if (query.ids?.length) select = select.where(sql<boolean>`e.id = any(${query.ids}::text[])`)
  if (query.serials?.length)
    select = select.where(sql<boolean>`e.serial_number = any(${query.serials}::text[])`)
  if (query.userShortNames?.length)
    select = select.where(sql<boolean>`e.user_short_name = any(${query.userShortNames}::text[])`)
  if (query.types?.length) select = select.where(sql<boolean>`e.type = any(${query.types}::text[])`)
  if (query.enabled !== undefined)
    select = select.where(query.enabled ? IS_ENROLLED : sql<boolean>`not ${IS_ENROLLED}`)
  return select.limit(query.limit).offset(query.offset).execute()
}
