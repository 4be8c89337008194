import { sql, type Kysely } from 'kysely'

/**
 * Push certificates by topic, and what still has to be pushed: one row per enrollment, however many reasons. After
 * Apple accepted a push the row stays with `pushed_at` until the device is heard of, which gives the time it took.
 * `claimed_until`: a process is sending it; after that moment the process counts as dead and another may. `held_topic`:
 * no push with this topic passes at present, so it waits for a new certificate.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table push_certificates (
      topic text primary key,
      certificate text not null,
      private_key bytea not null,
      apple_id text,
      not_after timestamptz not null,
      in_use boolean not null default false,
      rejected_reason text,
      warned_days integer,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create unique index push_certificates_in_use on push_certificates (in_use) where in_use`.execute(
    db,
  )
  await sql`
    create table push_needs (
      enrollment_id text primary key,
      due_at timestamptz not null,
      attempts smallint not null default 0,
      pushed_at timestamptz,
      claimed_until timestamptz,
      held_topic text,
      created_at timestamptz not null
    ) with (fillfactor = 75)`.execute(db)
  await sql`create index push_needs_due on push_needs (due_at) where pushed_at is null and held_topic is null`.execute(
    db,
  )
  await sql`create index push_needs_held on push_needs (held_topic) where held_topic is not null`.execute(db)
}
