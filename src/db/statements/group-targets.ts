import { sql, type Kysely } from 'kysely'
import type { Database } from '../tables/index.ts'

// A question up the order of the slices: who is in a group at this moment.

/** Which of these groups there are, and the devices that are members of any and enrolled, at most `limit`. */
export async function groupTargets(
  db: Kysely<Database>,
  groupIds: readonly string[],
  limit: number,
): Promise<{ known: Set<string>; deviceIds: string[] }> {
  const groups = await db
    .selectFrom('groups')
    .select('id')
    .where(sql<boolean>`id = any(${groupIds}::text[])`)
    .execute()
  const { rows } = await sql<{ id: string }>`
    select e.id from enrollments e
    where e.unenrolled_at is null and e.id in (
      select enrollment_id from group_members where group_id = any(${groupIds}::text[]) and is_member)
    order by e.id limit ${limit}`.execute(db)
  return { known: new Set(groups.map(({ id }) => id)), deviceIds: rows.map(({ id }) => id) }
}

/** The members of a group to which it delivers something that stays, enrolled ones: who loses what only it brings. */
export async function losersOf(db: Kysely<Database>, groupId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select e.id from enrollments e
    where e.unenrolled_at is null
      and exists (select from group_contents where group_id = ${groupId} and kind in ('profile', 'app') and not exclude)
      and e.id in (select enrollment_id from group_members where group_id = ${groupId} and is_member)
    order by e.id`.execute(db)
  return rows.map(({ id }) => id)
}
