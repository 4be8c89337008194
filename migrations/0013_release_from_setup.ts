import { sql, type Kysely } from 'kysely'

/**
 * Devices that wait in Setup Assistant: owed a DeviceConfigured when their first commands are done or at the deadline.
 * `configured_uuid` is the one that was queued last; after an error there is another one, not before `retry_at`. Links may
 * name the static group that their devices join.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table setup_releases (
      enrollment_id text primary key references enrollments on delete cascade,
      deadline timestamptz not null,
      command_uuids text[] not null default '{}',
      configured_uuid text,
      reason text check (reason in ('commands_done', 'deadline')),
      tries integer not null default 0,
      retry_at timestamptz,
      released_at timestamptz,
      created_at timestamptz not null
    )`.execute(db)
  await sql`
    create index setup_releases_owed on setup_releases (enrollment_id) where released_at is null`.execute(db)
  await sql`
    create index enrollments_awaiting on enrollments (id)
      where awaiting_configuration and unenrolled_at is null and parent_id is null`.execute(db)
  await sql`alter table enrollment_links add column group_id text`.execute(db)
}
