import { sql, type Kysely } from 'kysely'

/**
 * Answers of devices that mean more than themselves, until the part of the server that waits for them has taken them in; and
 * since when a device is in lost mode.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table commands drop constraint commands_purpose_check`.execute(db)
  await sql`
    alter table commands add constraint commands_purpose_check
      check (purpose in ('inventory', 'unenroll', 'delivery', 'act'))`.execute(db)
  await sql`
    create table command_answers (
      seq bigint generated always as identity primary key,
      topic text not null check (topic in ('delivery', 'act', 'inventory')),
      enrollment_id text not null,
      command_uuid text not null,
      kind text,
      state text not null,
      at timestamptz not null,
      tries integer not null default 0,
      retry_at timestamptz
    ) with (autovacuum_vacuum_scale_factor = 0.05)`.execute(db)
  await sql`create index command_answers_topic on command_answers (topic, seq)`.execute(db)
  await sql`alter table enrollments add column lost_mode_since timestamptz`.execute(db)
}
