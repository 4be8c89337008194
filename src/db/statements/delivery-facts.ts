import { sql, type Selectable } from 'kysely'
import type { Queries } from '../database.ts'
import type { DeliveriesTable, GroupContentsTable } from '../tables/rollout.ts'

// What deciding over deliveries has to know of devices, whoever's rows it is in; always for many devices at once.

/** A device, and the person and policy that it is of. */
export interface DeviceFacts {
  id: string
  generation: number
  /** It is not enrolled, or not yet. */
  is_gone: boolean
  type: string
  platform: string | null
  os_version: string | null
  is_held: boolean
  is_lost: boolean
  /** Of a Mac: the channels of its users, whoever came last first. */
  user_channel_ids: string[]
  serial_number: string | null
  udid: string | null
  device_name: string | null
  product_name: string | null
  user_name: string | null
  email: string | null
  display_name: string | null
  policy_name: string | null
  joined_at: Date | null
}

/** Users of a Mac that are looked at. */
const MOST_USERS = 20

/** What is known of devices. */
export async function deviceFacts(db: Queries, ids: readonly string[]): Promise<DeviceFacts[]> {
  const { rows } = await sql<DeviceFacts>`
    select e.id, e.generation, e.unenrolled_at is not null or e.token_update_tally = 0 as is_gone, e.type, f.platform,
      e.os_version, e.awaiting_configuration as is_held, e.lost_mode_since is not null as is_lost,
      case when f.platform = 'macos' then array(select c.id from enrollments c
        where c.parent_id = e.id and c.type = 'user' and c.unenrolled_at is null and c.token_update_tally > 0
        order by c.last_seen_at desc nulls last, c.id limit ${MOST_USERS}) else '{}'::text[] end as user_channel_ids,
      e.serial_number, e.udid, e.device_name, e.product_name, u.user_name, u.email, u.display_name,
      p.name as policy_name, e.authenticated_at as joined_at
    from enrollments e
    left join device_facts f on f.enrollment_id = e.id
    left join users u on u.id = e.user_id
    left join enrollment_policies p on p.id = e.policy_id
    where e.id = any(${ids}::text[])`.execute(db)
  return rows
}

/** A device in a group that has contents. */
export interface MemberOf {
  enrollment_id: string
  group_id: string
  is_member: boolean
  is_unknown: boolean
  added_at: Date
}

/** In which of the groups with contents devices are, or may be. */
export async function memberships(db: Queries, ids: readonly string[]): Promise<MemberOf[]> {
  const { rows } = await sql<MemberOf>`
    select m.enrollment_id, m.group_id, m.is_member, m.is_unknown, m.added_at
    from group_members m
    where m.enrollment_id = any(${ids}::text[])
      and (m.group_id in (select group_id from group_contents)
        or m.group_id in (select unnest(group_ids) from rollouts where state in ('running', 'halted')))`.execute(
    db,
  )
  return rows
}

/** Of a row `p` of the queue: it went out, and the device has not said NotNow each time. */
export const MAY_BE_DONE = sql<boolean>`(p.sends > 0 or p.is_unheard)`

/** How a command for a channel is: still in the queue, or how it has ended; neither when nothing is known of it. */
export interface CommandEnd {
  enrollment_id: string
  command_uuid: string
  /** Null where the command was deleted. */
  request_type: string | null
  is_live: boolean
  sent_at: Date | null
  may_be_done: boolean | null
  end_state: 'acknowledged' | 'error' | 'format_error' | 'expired' | 'cancelled' | null
  error_chain: unknown
  /** Why it was cancelled. */
  reason: string | null
  finished_at: Date | null
}

/** What became of commands. */
export async function commandEnds(
  db: Queries,
  of: readonly { targetId: string; uuid: string }[],
): Promise<CommandEnd[]> {
  if (of.length === 0) return []
  const { rows } = await sql<CommandEnd>`
    select w.enrollment_id, w.command_uuid, m.request_type, p.command_uuid is not null as is_live, p.sent_at,
      ${MAY_BE_DONE} as may_be_done, h.state as end_state,
      h.error_chain, h.reason, h.finished_at
    from unnest(${of.map(({ targetId }) => targetId)}::text[], ${of.map(({ uuid }) => uuid)}::text[])
      as w (enrollment_id, command_uuid)
    left join commands m on m.uuid = w.command_uuid
    left join pending_deliveries p on p.enrollment_id = w.enrollment_id and p.command_uuid = w.command_uuid
    left join lateral (
      select d.state, d.error_chain, d.reason, d.finished_at from delivery_history d
      where d.enrollment_id = w.enrollment_id and d.command_uuid = w.command_uuid
      order by d.finished_at desc limit 1
    ) h on p.command_uuid is null`.execute(db)
  return rows
}

/** When a device gave a list of a kind. */
interface ListTime {
  enrollment_id: string
  kind: string
  received_at: Date
}

/** When devices gave their lists. */
export async function listTimes(db: Queries, ids: readonly string[]): Promise<ListTime[]> {
  const { rows } = await sql<ListTime>`
    select enrollment_id, kind, received_at from device_lists
    where enrollment_id = any(${ids}::text[])
      and kind in ('profiles', 'managed_applications', 'installed_applications')`.execute(db)
  return rows
}

/** A profile as devices listed it last. */
export interface ListedProfile {
  enrollment_id: string
  identifier: string
  uuid: string
}

/** Those of the profiles with these identifiers that devices listed last. */
export async function listedProfiles(
  db: Queries,
  ids: readonly string[],
  identifiers: readonly string[],
): Promise<ListedProfile[]> {
  if (identifiers.length === 0) return []
  const { rows } = await sql<ListedProfile>`
    select enrollment_id, identifier, uuid from device_profiles
    where enrollment_id = any(${ids}::text[]) and identifier = any(${identifiers}::text[])`.execute(db)
  return rows
}

/** An app as devices listed it last, in either list. */
export interface ListedAppRow {
  enrollment_id: string
  identifier: string
  is_installed: boolean
  version: string | null
  short_version: string | null
  is_installing: boolean | null
  managed_status: string | null
  received_at: Date
}

/** Those of the apps with these identifiers that devices listed last. */
export async function listedApps(
  db: Queries,
  ids: readonly string[],
  identifiers: readonly string[],
): Promise<ListedAppRow[]> {
  if (identifiers.length === 0) return []
  const { rows } = await sql<ListedAppRow>`
    select enrollment_id, identifier, is_installed, version, short_version, is_installing, managed_status, received_at
    from device_apps
    where enrollment_id = any(${ids}::text[]) and identifier = any(${identifiers}::text[])`.execute(db)
  return rows
}

/** What is known of a serial number. */
interface SerialFacts {
  device_id: string | null
  /** The groups in which it would be by its policy. */
  group_ids: string[]
  serial_number: string
  policy_id: string | null
  policy_name: string | null
  ade_server_id: string | null
  /** What Apple says that it is. */
  family: string | null
}

/** The device of a serial number, or else what is known of it before it enrols; undefined for an unknown one. */
export async function groupsOfSerial(db: Queries, serialNumber: string): Promise<SerialFacts | undefined> {
  const { rows } = await sql<SerialFacts>`
    select (select e.id from enrollments e
        where e.serial_number = ${serialNumber} and e.parent_id is null and e.unenrolled_at is null limit 1) as device_id,
      array(select g.id from groups g where g.policy_id = d.policy_id
        union select p.group_id from enrollment_policies p where p.id = d.policy_id and p.group_id is not null) as group_ids,
      d.serial_number, d.policy_id, n.name as policy_name,
      case when d.removed_at is null and d.released_at is null then d.ade_server_id end as ade_server_id,
      d.device_family as family
    from ade_devices d left join enrollment_policies n on n.id = d.policy_id where d.serial_number = ${serialNumber}
    union all
    select e.id, array[]::text[], e.serial_number, null, null, null, null from enrollments e
      where e.serial_number = ${serialNumber} and e.parent_id is null and e.unenrolled_at is null
    limit 1`.execute(db)
  return rows[0]
}

/** The devices that are in a group, or may be, by id from after `after`. */
export async function memberIds(
  db: Queries,
  groupId: string,
  query: { after: string; limit: number },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select enrollment_id as id from group_members
    where group_id = ${groupId} and enrollment_id > ${query.after} order by 1 limit ${query.limit}`.execute(
    db,
  )
  return rows.map(({ id }) => id)
}

/** The answers to commands as they came, packed. */
export async function resultsOf(
  db: Queries,
  of: readonly { targetId: string; uuid: string }[],
): Promise<Map<string, Buffer>> {
  const { rows } = await sql<{ key: string; result: Buffer }>`
    select h.enrollment_id || ' ' || h.command_uuid as key, h.result
    from unnest(${of.map(({ targetId }) => targetId)}::text[], ${of.map(({ uuid }) => uuid)}::text[]) as w (id, uuid)
    join delivery_history h on h.enrollment_id = w.id and h.command_uuid = w.uuid
    where h.result is not null`.execute(db)
  return new Map(rows.map(({ key, result }) => [key, result]))
}

/** An entry of a group's contents, and when the group was made. */
type ContentsRowOfGroup = Selectable<GroupContentsTable> & { group_created_at: Date }

/** What these groups deliver. */
export async function contentsOf(db: Queries, groupIds: readonly string[]): Promise<ContentsRowOfGroup[]> {
  if (groupIds.length === 0) return []
  const { rows } = await sql<ContentsRowOfGroup>`
    select c.*, g.created_at as group_created_at from group_contents c join groups g on g.id = c.group_id
    where c.group_id = any(${groupIds}::text[]) order by c.group_id, c.place`.execute(db)
  return rows
}

/** The row whose command this is, for the channel that gets it. */
export async function rowOfCommand(
  db: Queries,
  targetId: string,
  uuid: string,
): Promise<Selectable<DeliveriesTable> | undefined> {
  const { rows } = await sql<Selectable<DeliveriesTable>>`
    select d.* from deliveries d join enrollments e on e.id = ${targetId}
    where d.enrollment_id = coalesce(e.parent_id, e.id) and d.command_uuid = ${uuid}`.execute(db)
  return rows[0]
}
