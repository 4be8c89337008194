import { sql, type Kysely } from 'kysely'

/**
 * How often a command went out since something was heard about it, so that one whose answers cannot be read ends; and what
 * of a result could not be read.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table pending_deliveries add column sends smallint not null default 0`.execute(db)
  await sql`alter table delivery_history add column result_problem text`.execute(db)
}
