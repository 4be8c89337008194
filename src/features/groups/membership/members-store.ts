import { sql, type RawBuilder } from 'kysely'
import type { Tx } from '../../../db/index.ts'

/** Serialises changes of rules against whoever puts devices into groups; an arbitrary number that nothing else locks. */
const RULES_LOCK = 7_203_028

/** How the membership of a device in a group has changed. */
export interface Change {
  group_id: string
  enrollment_id: string
  change: 'added' | 'removed' | 'unknown' | 'known'
}

/** Rows of `group_id`, `enrollment_id` and `ok`: whether the device belongs to the group; null is unknown. */
type Results = RawBuilder<unknown>

/** Keeps rules, and which groups there are, as they are until the transaction ends. Comes before all other locks. */
export async function holdRules(trx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${RULES_LOCK})`.execute(trx)
}

/** Waits for those who put devices into groups, so that rules may be changed; before the row of the group is locked. */
export async function lockRules(trx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${RULES_LOCK})`.execute(trx)
}

/** Makes the members what `results` say, and gives what that changed. The rows of the devices' facts are locked. */
export async function settle(trx: Tx, results: Results, now: Date): Promise<Change[]> {
  const { rows } = await sql<Change>`
    with result (group_id, enrollment_id, ok) as materialized (${results}), changed as materialized (
      select r.*, coalesce(m.is_member, false) as was
      from result r left join group_members m on m.group_id = r.group_id and m.enrollment_id = r.enrollment_id
      where case r.ok when true then coalesce(not m.is_member or m.is_unknown, true)
        when false then m.group_id is not null
        else coalesce(not m.is_unknown, true) end
      order by r.group_id, r.enrollment_id
    ), gone as (
      delete from group_members m using changed c
      where c.ok = false and m.group_id = c.group_id and m.enrollment_id = c.enrollment_id
    ), put as (
      insert into group_members (group_id, enrollment_id, added_at, is_member, is_unknown)
      select group_id, enrollment_id, ${now}::timestamptz, coalesce(ok, was), ok is null
      from changed where ok is distinct from false
      on conflict (group_id, enrollment_id) do update set
        added_at = case when group_members.is_member then group_members.added_at else excluded.added_at end,
        is_member = excluded.is_member, is_unknown = excluded.is_unknown
    )
    select group_id, enrollment_id,
      case when ok is null then 'unknown' when ok = was then 'known' when ok then 'added' else 'removed' end as change
    from changed order by group_id, enrollment_id`.execute(trx)
  return rows
}

/** Whether these devices belong to the groups of policies. */
export function policyResults(ids: readonly string[]): Results {
  return sql`
    select g.id, f.enrollment_id, true
    from device_facts f join groups g on g.policy_id = f.policy_id
    where f.enrollment_id = any(${ids}::text[])
    union all
    select m.group_id, m.enrollment_id, false
    from group_members m
      join groups g on g.id = m.group_id and g.policy_id is not null
      join device_facts f on f.enrollment_id = m.enrollment_id
    where m.enrollment_id = any(${ids}::text[]) and g.policy_id is distinct from f.policy_id`
}

/** Takes devices out of the groups that they did not get into by hand. */
export async function removeFromDynamic(trx: Tx, ids: readonly string[]): Promise<Change[]> {
  const { rows } = await sql<Change>`
    delete from group_members m using groups g
    where m.enrollment_id = any(${ids}::text[]) and g.id = m.group_id and g.kind = 'dynamic'
    returning m.group_id, m.enrollment_id, case when m.is_member then 'removed' else 'known' end as change`.execute(
    trx,
  )
  return rows
}

/** Takes devices out of all groups. */
export async function removeFromAll(trx: Tx, enrollmentId: string): Promise<Change[]> {
  const { rows } = await sql<Change>`
    delete from group_members where enrollment_id = ${enrollmentId}
    returning group_id, enrollment_id, case when is_member then 'removed' else 'known' end as change`.execute(
    trx,
  )
  return rows
}

/** Takes members out of a group, at most `limit`. */
export async function takeMembers(trx: Tx, groupId: string, limit: number): Promise<Change[]> {
  const { rows } = await sql<Change>`
    delete from group_members where ctid = any(array(
      select ctid from group_members where group_id = ${groupId} limit ${limit})) returning group_id, enrollment_id, case when is_member then 'removed' else 'known' end as change`.execute(
    trx,
  )
  return rows
}

/** The names of groups. */
export async function namesOfGroups(trx: Tx, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ id: string; name: string }>`
    select id, name from groups where id = any(${ids}::text[])`.execute(trx)
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** The groups that each of these devices is in. */
export async function groupsOf(trx: Tx, ids: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ enrollment_id: string; group_ids: string[] }>`
    select enrollment_id, array_agg(group_id order by group_id) as group_ids from group_members
    where enrollment_id = any(${ids}::text[]) and is_member group by enrollment_id`.execute(trx)
  return new Map(rows.map((row) => [row.enrollment_id, row.group_ids]))
}
