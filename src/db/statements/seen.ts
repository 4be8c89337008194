import { sql, type Kysely } from 'kysely'
import type { Database } from '../tables/index.ts'

/**
 * Notes when enrollments were last heard of, in one statement; an older time never replaces a newer one. Devices that rules of groups
 * took for unheard of since some time are put into their groups anew.
 */
export async function markSeen(db: Kysely<Database>, seen: ReadonlyMap<string, Date>): Promise<void> {
  const ids = [...seen.keys()].toSorted()
  await sql`
    with seen as (
      select * from unnest(${ids}::text[], ${ids.map((id) => seen.get(id)!)}::timestamptz[]) as s (id, at)
    ), told as (
      insert into devices_to_group (enrollment_id)
      select s.id from seen s join device_facts f on f.enrollment_id = s.id
      where exists (select from group_rule_times where fact = 'last_seen_at') and exists (
        select from group_rule_times t
        where t.fact = 'last_seen_at' and coalesce(t.at, s.at - t.least_seconds * interval '1 second') <= s.at
          and (f.last_seen_at is null
            or f.last_seen_at <= coalesce(t.at, s.at - t.least_seconds * interval '1 second')))
    )
    update enrollments e set last_seen_at = s.at
    from seen s
    where e.id = s.id and (e.last_seen_at is null or e.last_seen_at < s.at)`.execute(db)
}
