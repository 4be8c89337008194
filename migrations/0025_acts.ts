import { sql, type Kysely } from 'kysely'

/** Events tell who acted, and by what way; API tokens which tokens made them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // What the statements of devices write is by nobody, and comes by a device.
  await sql`alter table event_outbox add column by jsonb, add column via text`.execute(db)
  await sql`alter table events add column by jsonb, add column via text`.execute(db)
  await sql`alter table event_outbox alter column via set default 'device'`.execute(db)
  await sql`alter table api_tokens add column makers jsonb not null default '[]'`.execute(db)
}
