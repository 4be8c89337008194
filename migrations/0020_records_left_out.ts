import { sql, type Kysely } from 'kysely'

/** A sync tells how many of Apple's records named no device. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table ade_syncs add column left_out integer not null default 0`.execute(db)
}
