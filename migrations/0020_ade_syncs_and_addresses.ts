import { sql, type Kysely } from 'kysely'

/**
 * A sync tells how many of Apple's records named no device; an ADE server knows under which address its policies are
 * defined at Apple, and until when a process that tells devices that address is believed to live.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table ade_syncs add column left_out integer not null default 0`.execute(db)
  await sql`
    alter table ade_servers add column address text, add column address_until timestamptz`.execute(db)
}
