import { sql, type Kysely } from 'kysely'

/**
 * What a device can write is bounded. Of a certificate is known whether its enrollment has spoken with it (`unused`: never,
 * `current`: last), so that a renewal takes no place that is needed; a renewed one of before counts as unused until it is
 * heard. Of the check-in messages of an enrollment the last one's digest is known, so that a repetition is counted, and
 * how many bytes were kept since when. Bodies of commands that are plain still are marked, to be sealed.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table enrollment_certificates add column use text not null default 'current'
      check (use in ('unused', 'former', 'current'))`.execute(db)
  await sql`update enrollment_certificates set use = 'unused' where renewal`.execute(db)
  await sql`
    alter table enrollments add column message_digest bytea, add column message_repeats integer not null default 0,
      add column messages_since timestamptz, add column message_bytes integer not null default 0`.execute(db)
  await sql`alter table commands add column is_plain boolean not null default true`.execute(db)
  await sql`alter table commands alter column is_plain set default false`.execute(db)
  await sql`create index commands_plain on commands (uuid) where is_plain`.execute(db)
}
