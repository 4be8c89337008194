import { sql, type Kysely } from 'kysely'

/**
 * An enrollment that an operator has brought here from another server, without its certificate: the first one of a trusted CA that
 * belongs to no enrollment becomes its own.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table enrollments add column awaits_certificate boolean not null default false`.execute(db)
}
