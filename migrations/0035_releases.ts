import { sql, type Kysely } from 'kysely'

/**
 * A hold is opened by the statement of the TokenUpdate that says that a device waits, so `deadline` and `command_uuids` are
 * null until somebody has looked at it. It belongs to one `generation` of its enrollment. `next_at` is when it is looked at
 * again at the latest, `looks` how often that was in vain; `missing` is what was not there when the device was let go.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table setup_releases
      alter column deadline drop not null,
      alter column command_uuids drop not null,
      alter column command_uuids drop default,
      add column generation integer not null default 1,
      add column is_retried boolean not null default false,
      add column missing jsonb not null default '[]',
      add column looks integer not null default 0,
      drop constraint setup_releases_reason_check,
      add constraint setup_releases_reason_check check (reason in ('commands_done', 'policy', 'deadline'))`.execute(
    db,
  )
  await sql`alter table setup_releases rename column retry_at to next_at`.execute(db)
  await sql`
    update setup_releases r set next_at = r.created_at, generation = e.generation
    from enrollments e where e.id = r.enrollment_id`.execute(db)
  await sql`alter table setup_releases alter column next_at set not null`.execute(db)
  // Who said so in a message of which nobody was told.
  await sql`
    insert into setup_releases (enrollment_id, generation, command_uuids, created_at, next_at)
    select id, generation, '{}', coalesce(enrolled_at, created_at), coalesce(enrolled_at, created_at)
    from enrollments
    where awaiting_configuration and unenrolled_at is null and parent_id is null
    on conflict (enrollment_id) do update set released_at = null, configured_uuid = null, reason = null
      where setup_releases.released_at is not null`.execute(db)
  await sql`drop index enrollments_awaiting`.execute(db)
}
