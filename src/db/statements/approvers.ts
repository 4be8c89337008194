import { sql } from 'kysely'
import type { Queries } from '../database.ts'

// Questions up the order of the slices: who may decide of an act, and what the devices are that it is for.

/** Whether a token is there and may still do what needs this role. */
export async function tokenStands(
  db: Queries,
  id: string,
  role: 'operator' | 'admin',
  now: Date,
): Promise<boolean> {
  const { rows } = await sql`
    select from api_tokens where id = ${id} and role = any(${rolesFrom(role)}::text[])
      and (expires_at is null or expires_at > ${now})`.execute(db)
  return rows.length > 0
}

/** How many could give an approval that is neither the asker, nor made it, nor was made by those. */
export async function countOthers(
  db: Queries,
  asking: readonly string[],
  role: 'operator' | 'admin',
  now: Date,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::integer as count from api_tokens t
    where t.role = any(${rolesFrom(role)}::text[]) and (t.expires_at is null or t.expires_at > ${now})
      and t.id <> all(${asking}::text[]) and not t.makers ?| ${asking}::text[]`.execute(db)
  return rows[0]?.count ?? 0
}

/** How the mark of a device ends that has left. */
export const GONE = 'gone'

/**
 * What each of these devices is at this moment, in one text: another one when it has enrolled anew, has another person or has
 * left; empty for what is no device here.
 */
export async function marksOf(db: Queries, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string; mark: string }>`
    select id, concat_ws(' ', generation, coalesce(user_id, '-'), case when unenrolled_at is null then 'here' else ${GONE} end) as mark
    from enrollments where id = any(${ids}::text[])`.execute(db)
  const marks = new Map(rows.map(({ id, mark }) => [id, mark]))
  return ids.map((id) => marks.get(id) ?? '')
}

function rolesFrom(role: 'operator' | 'admin'): string[] {
  return role === 'admin' ? ['admin'] : ['operator', 'admin']
}
