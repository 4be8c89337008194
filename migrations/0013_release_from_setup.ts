import { sql, type Kysely } from 'kysely'

/** Devices that wait in Setup Assistant: owed a DeviceConfigured when their first commands are done or at the deadline. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table setup_releases (
      enrollment_id text primary key references enrollments on delete cascade,
      deadline timestamptz not null,
      command_uuids text[] not null default '{}',
      released_at timestamptz,
      reason text,
      created_at timestamptz not null
    )`.execute(db)
  await sql`create index setup_releases_owed on setup_releases (deadline) where released_at is null`.execute(
    db,
  )
}
