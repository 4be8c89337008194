import { sql, type Kysely } from 'kysely'
import type { Database, Tx } from '../../db/index.ts'

/** How many deliveries wait in each state; what is finished is not looked at. */
export async function countPending(
  db: Kysely<Database> | Tx,
): Promise<{ queued: number; sent: number; not_now: number }> {
  const { rows } = await sql<{ queued: number; sent: number; not_now: number }>`
    select count(*) filter (where state = 'queued') as queued, count(*) filter (where state = 'sent') as sent,
      count(*) filter (where state = 'not_now') as not_now
    from pending_deliveries`.execute(db)
  return rows[0]!
}
