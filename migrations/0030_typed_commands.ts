import { sql, type Kysely } from 'kysely'

/** Commands are checked with Apple's schema before they are queued and again before they are sent; acts on devices bring codes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table commands add column forced boolean not null default false, add column parts jsonb`.execute(
    db,
  )
  await sql`alter table delivery_history add column reason text`.execute(db)
  await sql`alter table enrollments add column location text, add column lost_mode_wanted text`.execute(db)
  await sql`alter table scep_challenges add column policy_id text`.execute(db)
  await sql`
    create table device_codes (
      enrollment_id text not null references enrollments on delete cascade,
      kind text not null,
      command_uuid text not null,
      code bytea not null,
      seq bigint generated always as identity,
      created_at timestamptz not null,
      primary key (enrollment_id, kind, command_uuid)
    )`.execute(db)
}
