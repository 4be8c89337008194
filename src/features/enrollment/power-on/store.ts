import { sql } from 'kysely'
import { withoutNul, type Tx } from '../../../db/index.ts'

/** Of the advisory locks, those of serial numbers that enrol. */
const LOCKS = 0x656e726f

/** Lets only this transaction, among all processes, decide on attempts of these serial numbers until it ends. */
export async function lockSerials(trx: Tx, serials: readonly string[]): Promise<void> {
  await sql`
    select pg_advisory_xact_lock(${sql.lit(LOCKS)}, h) from (
      select distinct hashtext(s) as h from unnest(${withoutNul(serials)}::text[]) s order by 1
    ) hashes`.execute(trx)
}
