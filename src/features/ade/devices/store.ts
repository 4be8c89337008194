import { sql, type RawBuilder, type Selectable } from 'kysely'
import { serialNumberOf } from '../../../kernel/serial-number.ts'
import { beginsWith, withoutNul, type Queries, type Tx } from '../../../db/index.ts'
import type { AdeDevicesTable } from '../../../db/tables/ade.ts'

/** Where a serial number stands; derived from its times, the latest fact counting. */
type AdeDeviceState =
  'not_contacted' | 'contacted' | 'enrolled' | 'unenrolled' | 'blocked' | 'released' | 'removed'

/** A serial number with its state, and what is defined at Apple for its policy. */
export type AdeDevice = Selectable<AdeDevicesTable> & {
  state: AdeDeviceState
  /** The profile that devices of its policy are to have, and whether that is the policy as it is now. */
  wanted_profile_uuid: string | null
  wanted_is_defined: boolean
  /** Why Apple did not take the profile. */
  profile_error: string | null
  profile_retry_at: Date | null
}

/** What the list may be narrowed to. */
export interface DeviceQuery {
  state?: AdeDeviceState | undefined
  serial_number?: string | undefined
  policy_id?: string | undefined
  ade_server_id?: string | undefined
  search?: string | undefined
  after?: string | undefined
  limit: number
}

const LONG_AGO = sql.lit('-infinity')
/** The state of a row `d`. */
export const STATE = sql<AdeDeviceState>`case
  when d.released_at is not null then 'released'
  when d.removed_at is not null then 'removed'
  when d.blocked_at is not null then 'blocked'
  when d.contacted_at is null and d.enrolled_at is null and d.unenrolled_at is null then 'not_contacted'
  when coalesce(d.enrolled_at, ${LONG_AGO}) >= greatest(
    coalesce(d.unenrolled_at, ${LONG_AGO}), coalesce(d.contacted_at, ${LONG_AGO})) then 'enrolled'
  when coalesce(d.unenrolled_at, ${LONG_AGO}) >= coalesce(d.contacted_at, ${LONG_AGO}) then 'unenrolled'
  else 'contacted' end`
/** Whether Apple counts a row `d` as ours. */
export const LIVE = sql<boolean>`(d.released_at is null and d.removed_at is null and d.ade_server_id is not null)`

function selectDevices(db: Queries) {
  return db
    .selectFrom('ade_devices as d')
    .leftJoin('ade_profiles as p', (join) =>
      join.onRef('p.ade_server_id', '=', 'd.ade_server_id').onRef('p.policy_id', '=', 'd.policy_id'),
    )
    .selectAll('d')
    .select([STATE.as('state'), 'p.profile_uuid as wanted_profile_uuid', 'p.error as profile_error'])
    .select(['p.retry_at as profile_retry_at'])
    .select(sql<boolean>`coalesce(p.defined_hash = p.wanted_hash, false)`.as('wanted_is_defined'))
}

/** One serial number. */
export function findDevice(db: Queries, serial: string): Promise<AdeDevice | undefined> {
  return selectDevices(db).where('d.serial_number', '=', canonical(serial)).executeTakeFirst()
}

/** Serial numbers in their order, after `after`. */
export function listDevices(db: Queries, query: DeviceQuery): Promise<AdeDevice[]> {
  let select = selectDevices(db)
    .where(beginsWith(['d.serial_number', 'd.description'], query.search))
    .orderBy('d.serial_number')
    .limit(query.limit)
  if (query.after !== undefined) select = select.where('d.serial_number', '>', query.after)
  if (query.serial_number !== undefined)
    select = select.where('d.serial_number', '=', canonical(query.serial_number))
  if (query.policy_id !== undefined) select = select.where('d.policy_id', '=', withoutNul(query.policy_id))
  if (query.ade_server_id !== undefined)
    select = select.where('d.ade_server_id', '=', withoutNul(query.ade_server_id))
  if (query.state !== undefined) select = select.where(STATE, '=', query.state)
  return select.execute()
}

/** A serial number that Apple has assigned to us, locked until the transaction ends. */
export function lockLive(trx: Tx, serial: string): Promise<Selectable<AdeDevicesTable> | undefined> {
  return trx
    .selectFrom('ade_devices as d')
    .selectAll('d')
    .where('d.serial_number', '=', canonical(serial))
    .where(LIVE)
    .forUpdate()
    .executeTakeFirst()
}

/** Blocks a device, or (null) no longer does. */
export async function setBlocked(trx: Tx, serial: string, at: Date | null, now: Date): Promise<void> {
  await trx
    .updateTable('ade_devices')
    .set({ blocked_at: at, updated_at: now })
    .where('serial_number', '=', serial)
    .execute()
}

/** Notes that Apple has released a device from the organisation. */
export async function setReleased(trx: Tx, serial: string, now: Date): Promise<void> {
  await trx
    .updateTable('ade_devices')
    .set({ released_at: now, op_date: now, policy_id: null, assignment_state: null, updated_at: now })
    .set({ assignment_retry_at: null, assignment_error: null, assignment_attempts: 0 })
    .set({ apple_profile_uuid: null, apple_profile_status: null })
    .where('serial_number', '=', serial)
    .execute()
}

/** Marks serial numbers as no longer assigned to us; how many of them were. */
export function setRemoved(trx: Tx, serials: readonly string[], now: Date): Promise<number> {
  return removeWhere(trx, sql`d.serial_number = any(${serials}::text[])`, now)
}

/** Marks every serial number of a server as no longer assigned to us; how many those are. */
export function removeAllOf(trx: Tx, serverId: string, now: Date): Promise<number> {
  return removeWhere(trx, sql`d.ade_server_id = ${serverId}`, now)
}

async function removeWhere(trx: Tx, isMeant: RawBuilder<unknown>, now: Date): Promise<number> {
  const result = await sql`
    update ade_devices d set removed_at = ${now}, assignment_state = null, assignment_retry_at = null,
      assignment_error = null, updated_at = ${now}
    where ${isMeant} and ${LIVE}`.execute(trx)
  return Number(result.numAffectedRows ?? 0n)
}

/** Notes when the enrollment of a device ended; when it enrolled is noted with its first TokenUpdate. */
export async function noteUnenrolled(trx: Tx, serial: string, at: Date): Promise<void> {
  await trx
    .updateTable('ade_devices')
    .set({ unenrolled_at: at })
    .where('serial_number', '=', withoutNul(serial))
    .execute()
}

/** Takes serial numbers that newly got a policy and were not judged; each is given to one caller, once. */
export async function takeUnjudged(
  trx: Tx,
  limit: number,
  now: Date,
): Promise<{ serial_number: string; policy_set_at: Date }[]> {
  const { rows } = await sql<{ serial_number: string; policy_set_at: Date }>`
    update ade_devices set policy_judged_at = ${now}
    where ctid = any(array(
      select ctid from ade_devices where policy_set_at is not null and policy_judged_at is null
      order by policy_set_at limit ${limit} for update skip locked))
    returning serial_number, policy_set_at`.execute(trx)
  return rows
}

/** How many live serial numbers each server has. */
export async function countLive(db: Queries, serverIds: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await sql<{ id: string; count: number }>`
    select d.ade_server_id as id, count(*) as count from ade_devices d
    where d.ade_server_id = any(${serverIds}::text[]) and ${LIVE} group by 1`.execute(db)
  return new Map(rows.map(({ id, count }) => [id, count]))
}

/** As serial numbers are kept; nothing has the empty one. */
function canonical(serial: string): string {
  return serialNumberOf(serial) ?? ''
}
