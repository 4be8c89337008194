import { sql } from 'kysely'
import type { Queries } from '../../db/index.ts'

/** How many devices are in each state. */
export async function countByState(db: Queries): Promise<{ enrolled: number; unenrolled: number }> {
  const { rows } = await sql<{ enrolled: number; unenrolled: number }>`
    select count(*) filter (where unenrolled_at is null and token_update_tally > 0) as enrolled,
      count(*) filter (where unenrolled_at is not null or token_update_tally = 0) as unenrolled
    from enrollments where parent_id is null`.execute(db)
  return rows[0]!
}
