import { sql, type Kysely } from 'kysely'

/** Whether a command went out once more before anything was heard of it: then a later NotNow does not say that it was not done. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table pending_deliveries add column is_unheard boolean not null default false`.execute(db)
}
