import { sql, type Kysely } from 'kysely'

/**
 * The queue. `pending_deliveries` holds only what is still to be done, so that a poll costs the same however long the
 * past; finished deliveries move to `delivery_history`, partitioned by month and dropped by retention.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table commands (
      uuid text primary key,
      request_type text not null,
      purpose text check (purpose in ('inventory', 'unenroll')),
      body bytea not null,
      priority smallint not null default 0,
      not_before timestamptz,
      expires_at timestamptz,
      target_ids text[] not null,
      created_by text,
      created_at timestamptz not null
    )`.execute(db)
  await sql`alter table commands alter column body set storage external`.execute(db)
  await sql`create index commands_created on commands (created_at, uuid)`.execute(db)
  await sql`
    create table pending_deliveries (
      enrollment_id text not null,
      command_uuid text not null,
      seq bigint generated always as identity,
      priority smallint not null,
      state text not null default 'queued' check (state in ('queued', 'sent', 'not_now')),
      not_before timestamptz,
      expires_at timestamptz,
      not_now_count integer not null default 0,
      sent_at timestamptz,
      push_at timestamptz not null,
      push_count smallint not null default 0,
      created_at timestamptz not null,
      primary key (enrollment_id, command_uuid)
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)`.execute(db)
  await sql`
    create index pending_deliveries_order on pending_deliveries (enrollment_id, priority desc, seq)`.execute(
    db,
  )
  await sql`
    create table delivery_history (
      enrollment_id text not null,
      command_uuid text not null,
      state text not null check (state in ('acknowledged', 'error', 'format_error', 'expired', 'cancelled')),
      error_chain jsonb,
      result bytea,
      not_now_count integer not null,
      created_at timestamptz not null,
      sent_at timestamptz,
      finished_at timestamptz not null,
      primary key (enrollment_id, command_uuid, finished_at)
    ) partition by range (finished_at)`.execute(db)
  await sql`alter table delivery_history alter column result set storage external`.execute(db)
  await sql`
    create index delivery_history_time on delivery_history (enrollment_id, finished_at)`.execute(db)
}
