import { sql, type Kysely } from 'kysely'

/** Enrollment policies, and the groups that devices belong to. A policy's own dynamic group has no member rows. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table groups (
      id text primary key,
      name text not null unique,
      kind text not null check (kind in ('static', 'dynamic')),
      policy_id text unique,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      check ((kind = 'dynamic') = (policy_id is not null))
    )`.execute(db)
  await sql`
    create table group_members (
      group_id text not null references groups on delete cascade,
      enrollment_id text not null,
      added_at timestamptz not null,
      primary key (group_id, enrollment_id)
    )`.execute(db)
  await sql`create index group_members_enrollment on group_members (enrollment_id)`.execute(db)
  await sql`
    create table enrollment_policies (
      id text primary key,
      name text not null unique,
      description text not null default '',
      user_affinity text not null check (user_affinity in ('none', 'prompt')),
      sign_in_source_id text references sign_in_sources,
      group_id text references groups,
      ade jsonb not null,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create index enrollments_policy on enrollments (policy_id) where policy_id is not null`.execute(
    db,
  )
}
