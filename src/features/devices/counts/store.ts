import { sql, type Kysely } from 'kysely'
import type { Database, Tx } from '../../../db/index.ts'

type Reader = Kysely<Database> | Tx

/** How many devices are in each state. */
export async function countByState(db: Reader): Promise<{ enrolled: number; unenrolled: number }> {
  const { rows } = await sql<{ enrolled: number; unenrolled: number }>`
    select count(*) filter (where unenrolled_at is null and token_update_tally > 0) as enrolled,
      count(*) filter (where unenrolled_at is not null or token_update_tally = 0) as unenrolled
    from enrollments where parent_id is null`.execute(db)
  return rows[0]!
}

/** The serial numbers of these devices and of the devices of these channels, as far as they have one. */
export async function serialsOf(db: Reader, ids: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ id: string; serial: string }>`
    select e.id, coalesce(e.serial_number, d.serial_number) as serial
    from enrollments e left join enrollments d on d.id = e.parent_id
    where e.id = any(${ids}::text[]) and coalesce(e.serial_number, d.serial_number) is not null`.execute(db)
  return new Map(rows.map(({ id, serial }) => [id, serial]))
}
