import { sql, type Kysely } from 'kysely'

/** One try of one device to enrol, and its steps. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table enrollment_attempts (
      id text primary key,
      way text not null check (way in ('ade', 'ade_web', 'link', 'page')),
      outcome text not null default 'in_progress' check (outcome in ('in_progress', 'enrolled', 'rejected', 'expired')),
      reason text,
      serial_number text,
      udid text,
      user_id text,
      user_name text,
      policy_id text,
      link_id text,
      enrollment_id text,
      deadline timestamptz not null,
      closed_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create index enrollment_attempts_open on enrollment_attempts (deadline) where outcome = 'in_progress'`.execute(
    db,
  )
  await sql`create index enrollment_attempts_serial on enrollment_attempts (serial_number, id)`.execute(db)
  await sql`create index enrollment_attempts_enrollment on enrollment_attempts (enrollment_id, id)`.execute(
    db,
  )
  await sql`
    create table enrollment_attempt_steps (
      attempt_id text not null references enrollment_attempts on delete cascade,
      id bigint generated always as identity,
      at timestamptz not null,
      step text not null,
      outcome text not null check (outcome in ('passed', 'refused')),
      reason text,
      detail jsonb not null default '{}',
      primary key (attempt_id, id)
    )`.execute(db)
}
