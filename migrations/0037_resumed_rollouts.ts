import { sql, type Kysely } from 'kysely'

/** A rollout that somebody lets go on halts again only when more devices fail. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table rollouts add column failed_before integer not null default 0`.execute(db)
}
