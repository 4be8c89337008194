import { sql } from 'kysely'
import { withoutNul, type Tx } from '../../../db/index.ts'
import type { AdeDevice } from '../../../protocol/ade/index.ts'

/** Pages of all servers are written one after the other; an arbitrary number that nothing else locks. */
const PAGE_LOCK = 7_203_012

/** Serial numbers that are named of many that were found. */
const NAMED_SERIALS = 100

/** How a page is to be written. */
interface PageContext {
  serverId: string
  /** When Apple was asked for it. */
  asOf: Date
  now: Date
  /** What its serial numbers are marked with, within a full sync. */
  mark: string | null
  /** What serial numbers get that are new to the server. */
  defaultPolicyId: string | null
}

/** What a page brought. `policySet`: its devices that newly got a policy. */
export interface PageCounts {
  seen: number
  added: number
  changed: number
  removed: number
  policySet: number
}

/** Devices that were found: how many, and the first serial numbers of them. */
export interface Found {
  count: number
  serials: string[]
}

/**
 * Writes one record for each serial number, in one statement. The record with the greatest `op_date` wins, against what is
 * stored too; a serial number that stands at another of our servers moves here when this is the later news, or when it
 * has left that one; a record without a date is as old as the question. What Apple was asked for before we changed a profile
 * says nothing about that profile, and one that has a profile but does not name it says nothing about which.
 */
export async function writePage(
  trx: Tx,
  records: readonly AdeDevice[],
  context: PageContext,
): Promise<PageCounts> {
  if (records.length === 0) return { seen: 0, added: 0, changed: 0, removed: 0, policySet: 0 }
  await sql`select pg_advisory_xact_lock(${PAGE_LOCK})`.execute(trx)
  const { serverId, asOf, now, mark, defaultPolicyId: policy } = context
  const serials = texts(records, 'serialNumber')
  const { rows } = await sql<PageCounts>`
    with r as (
      ${rowsOf(records)}
    ), k as (
      select r.*,
        d.removed_at is null and d.released_at is null and d.ade_server_id is not null as live,
        not r.gone and (d.ade_server_id is distinct from ${serverId} or d.removed_at is not null
          or d.released_at is not null) as arrives,
        coalesce(d.assigned_at >= ${asOf}::timestamptz, false)
          or (r.profile_uuid is null and r.profile_status is null) as says_nothing,
        (d.model, d.description, d.color, d.asset_tag, d.device_family, d.os, d.device_assigned_date,
          d.device_assigned_by, d.mdm_migration_deadline, d.apple_profile_uuid, d.apple_profile_status)
        is distinct from (r.model, r.description, r.color, r.asset_tag, r.device_family, r.os, r.assigned_date,
          r.assigned_by, r.deadline, r.profile_uuid, r.profile_status) as differs
      from ade_devices d join r on r.serial_number = d.serial_number
      where d.serial_number = any(${serials}::text[])
      order by d.serial_number for update of d
    ), fresh as (
      insert into ade_devices (serial_number, ade_server_id, model, description, color, asset_tag, device_family,
        os, op_date, device_assigned_date, device_assigned_by, mdm_migration_deadline, seen_in_sync, policy_id,
        policy_set_at, apple_profile_uuid, apple_profile_status, profile_assign_time, profile_push_time,
        assignment_state, apple_seen_at, removed_at, created_at, updated_at)
      select r.serial_number, ${serverId}, r.model, r.description, r.color, r.asset_tag, r.device_family, r.os,
        r.told_at, r.assigned_date, r.assigned_by, r.deadline, ${mark}::text,
        case when not r.gone then ${policy}::text end,
        case when not r.gone and ${policy}::text is not null then ${now}::timestamptz end,
        r.profile_uuid, r.profile_status, r.assign_time, r.push_time,
        case when not r.gone and ${policy}::text is not null then 'pending' end, ${asOf}::timestamptz,
        case when r.gone then ${now}::timestamptz end, ${now}::timestamptz, ${now}::timestamptz
      from r where not exists (select 1 from ade_devices d where d.serial_number = r.serial_number)
      order by r.serial_number
      on conflict do nothing
      returning serial_number, removed_at is null as live, policy_set_at is not null as policy_set
    ), kept as (
      update ade_devices d set
        ade_server_id = ${serverId},
        model = case when k.gone then coalesce(k.model, d.model) else k.model end,
        description = case when k.gone then coalesce(k.description, d.description) else k.description end,
        color = case when k.gone then coalesce(k.color, d.color) else k.color end,
        asset_tag = case when k.gone then coalesce(k.asset_tag, d.asset_tag) else k.asset_tag end,
        device_family = coalesce(k.device_family, d.device_family),
        os = coalesce(k.os, d.os),
        op_date = case when k.arrives then k.told_at else greatest(d.op_date, k.told_at) end,
        device_assigned_date = case when k.gone then d.device_assigned_date else k.assigned_date end,
        device_assigned_by = case when k.gone then d.device_assigned_by else k.assigned_by end,
        mdm_migration_deadline = case when k.gone then null else k.deadline end,
        seen_in_sync = coalesce(${mark}::text, d.seen_in_sync),
        policy_id = case when k.arrives then coalesce(d.policy_id, ${policy}::text) else d.policy_id end,
        policy_set_at = case when k.arrives and coalesce(d.policy_id, ${policy}::text) is not null
          then ${now}::timestamptz else d.policy_set_at end,
        policy_judged_at = case when k.arrives then null else d.policy_judged_at end,
        apple_profile_uuid = case when k.gone then null when k.arrives then k.profile_uuid
          when k.says_nothing or k.profile_uuid is null and k.profile_status in ('assigned', 'pushed')
          then d.apple_profile_uuid else k.profile_uuid end,
        apple_profile_status = case when k.gone then null when k.arrives then k.profile_status
          when k.says_nothing then d.apple_profile_status else k.profile_status end,
        profile_assign_time = case when k.says_nothing then d.profile_assign_time else k.assign_time end,
        profile_push_time = case when k.says_nothing then d.profile_push_time else k.push_time end,
        assignment_state = case when k.gone then null
          when k.arrives then case when coalesce(d.policy_id, ${policy}::text) is not null then 'pending' end
          else d.assignment_state end,
        assignment_retry_at = case when k.gone or k.arrives then null else d.assignment_retry_at end,
        assignment_attempts = case when k.arrives then 0 else d.assignment_attempts end,
        assignment_error = case when k.gone or k.arrives then null else d.assignment_error end,
        apple_seen_at = ${asOf}::timestamptz,
        removed_at = case when k.gone then coalesce(d.removed_at, ${now}::timestamptz) end,
        released_at = case when k.gone then d.released_at end,
        updated_at = ${now}::timestamptz
      from k
      where d.serial_number = k.serial_number
        and case when d.released_at >= ${asOf}::timestamptz then false
          when d.ade_server_id = ${serverId} or d.ade_server_id is null
          then k.op_date is null or d.op_date is null or k.op_date >= d.op_date
          else not k.gone and (d.removed_at is not null or d.released_at is not null or d.op_date is null
            or coalesce(k.told_at, ${asOf}::timestamptz) >= d.op_date) end
      returning k.arrives, k.gone, k.live, k.differs, d.policy_id is not null as has_policy
    )
    select ${records.length}::integer as seen,
      (select count(*) from fresh where live) + (select count(*) from kept where arrives) as added,
      (select count(*) from kept where not arrives and not gone and differs) as changed,
      (select count(*) from kept where gone and live) as removed,
      (select count(*) from fresh where policy_set) + (select count(*) from kept where arrives and has_policy)
        as "policySet"`.execute(trx)
  return rows[0]!
}

/** Marks what a finished full sync has not brought as removed; the first serial numbers and how many there are. */
export async function removeUnseen(
  trx: Tx,
  context: { serverId: string; mark: string; now: Date },
): Promise<Found> {
  const { serverId, mark, now } = context
  const { rows } = await sql<Found>`
    with gone as (
      update ade_devices set removed_at = ${now}, assignment_state = null, assignment_retry_at = null,
        assignment_error = null, apple_profile_uuid = null, apple_profile_status = null, updated_at = ${now}
      where ade_server_id = ${serverId} and seen_in_sync is distinct from ${mark} and removed_at is null
        and released_at is null
      returning serial_number
    )
    ${foundIn('gone')}`.execute(trx)
  return rows[0]!
}

/**
 * Finds devices seen since `since` that have another profile at Apple than we gave them, or none, and marks them to be
 * assigned again.
 */
export async function takeDrifted(
  trx: Tx,
  context: { serverId: string; since: Date; now: Date },
): Promise<Found> {
  const { rows } = await sql<Found>`
    with drifted as (
      update ade_devices d set assignment_state = 'pending', assignment_retry_at = null, updated_at = ${context.now}
      from ade_profiles p
      where d.ade_server_id = ${context.serverId} and d.assignment_state = 'assigned' and d.removed_at is null
        and d.released_at is null and d.apple_seen_at >= ${context.since}
        and (d.assigned_at is null or d.assigned_at < d.apple_seen_at)
        and p.ade_server_id = d.ade_server_id and p.policy_id = d.policy_id and p.profile_uuid is not null
        and (upper(replace(d.apple_profile_uuid, '-', '')) is distinct from upper(replace(p.profile_uuid, '-', ''))
          or d.apple_profile_status in ('empty', 'removed'))
      returning d.serial_number
    )
    ${foundIn('drifted')}`.execute(trx)
  return rows[0]!
}

function foundIn(set: 'gone' | 'drifted') {
  const found = sql.table(set)
  return sql`
    select (select count(*) from ${found}) as count,
      array(select serial_number from ${found} order by serial_number limit ${NAMED_SERIALS}) as serials`
}

/** The records as rows; `told_at` is when one was told at the earliest. */
function rowsOf(records: readonly AdeDevice[]) {
  return sql`
    select * from unnest(${texts(records, 'serialNumber')}::text[], ${texts(records, 'model')}::text[],
      ${texts(records, 'description')}::text[], ${texts(records, 'color')}::text[],
      ${texts(records, 'assetTag')}::text[], ${texts(records, 'deviceFamily')}::text[],
      ${texts(records, 'os')}::text[], ${records.map(({ opType }) => opType === 'deleted')}::boolean[],
      ${dates(records, 'opDate')}::timestamptz[],
      ${records.map(({ opDate, assignedAt }) => opDate ?? assignedAt ?? null)}::timestamptz[],
      ${dates(records, 'assignedAt')}::timestamptz[], ${texts(records, 'assignedBy')}::text[],
      ${dates(records, 'migrationDeadline')}::timestamptz[], ${texts(records, 'profileUuid')}::text[],
      ${texts(records, 'profileStatus')}::text[], ${dates(records, 'profileAssignedAt')}::timestamptz[],
      ${dates(records, 'profilePushedAt')}::timestamptz[])
    as r (serial_number, model, description, color, asset_tag, device_family, os, gone, op_date, told_at,
      assigned_date, assigned_by, deadline, profile_uuid, profile_status, assign_time, push_time)`
}

/** The members of a record that hold a `T`, or nothing. */
type MemberOf<T> = {
  [K in keyof AdeDevice]-?: AdeDevice[K] extends T | undefined ? K : never
}[keyof AdeDevice]

function texts(records: readonly AdeDevice[], member: MemberOf<string>): (string | null)[] {
  return records.map((record) => withoutNul(record[member] ?? null))
}

function dates(records: readonly AdeDevice[], member: MemberOf<Date>): (Date | null)[] {
  return records.map((record) => record[member] ?? null)
}
