import { sql, type Kysely } from 'kysely'

/** Every answer is found by its topic and its place: each has one entry in an index, not two. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table command_answers drop constraint command_answers_pkey`.execute(db)
}
