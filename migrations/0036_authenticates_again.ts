import { sql, type Kysely } from 'kysely'

/**
 * A device that has said Authenticate again under the certificate in use, since its last TokenUpdate. If it then says that it
 * waits in Setup Assistant it was erased, and begins anew.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table enrollments add column authenticates_again boolean not null default false`.execute(db)
}
