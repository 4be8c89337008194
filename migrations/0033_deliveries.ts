import { sql, type Kysely } from 'kysely'

/**
 * What groups are to deliver, and how far each thing has come with each device. Rows of deliveries are led by the enrollment's
 * id, like all that is asked for device by device.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table group_contents (
      id text primary key,
      group_id text not null references groups on delete cascade,
      place integer not null,
      kind text not null check (kind in ('profile', 'app', 'command')),
      thing_id text,
      critical boolean not null,
      precedence integer not null,
      exclude boolean not null,
      request_type text,
      command bytea,
      added_at timestamptz not null,
      added_seq bigint generated always as identity,
      check ((thing_id is null) = (kind = 'command'))
    )`.execute(db)
  await sql`create index group_contents_group on group_contents (group_id, place)`.execute(db)
  await sql`create index group_contents_thing on group_contents (kind, thing_id)`.execute(db)
  await sql`
    create table deliveries (
      enrollment_id text not null references enrollments on delete cascade,
      kind text not null check (kind in ('profile', 'app')),
      thing_id text not null,
      identifier text,
      is_wanted boolean not null,
      revision integer,
      ring integer,
      critical boolean not null,
      place integer not null,
      group_ids text[] not null,
      state text not null
        check (state in ('pending', 'queued', 'waiting', 'installed', 'failed', 'expired', 'removing')),
      reason text,
      error_chain jsonb,
      attempts integer not null,
      next_try_at timestamptz,
      command_uuid text,
      target_id text,
      sent_revision integer,
      sent_rendering text,
      there_revision integer,
      there_rendering text,
      may_be_there boolean not null,
      acknowledged_at timestamptz,
      is_listed boolean not null,
      asked_at timestamptz,
      asks integer not null,
      cause text not null,
      change_id text,
      updated_at timestamptz not null,
      primary key (enrollment_id, kind, thing_id)
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)`.execute(db)
  await sql`create index deliveries_thing on deliveries (kind, thing_id, enrollment_id)`.execute(db)
  await sql`
    create index deliveries_change on deliveries (change_id) where change_id is not null`.execute(db)
  // One row a device: who visits it holds the row, so a device is visited by one process at a time.
  await sql`
    create table delivery_devices (
      enrollment_id text primary key references enrollments on delete cascade,
      generation integer not null,
      computed_at timestamptz,
      due_at timestamptz
    ) with (fillfactor = 80)`.execute(db)
  await sql`
    create index delivery_devices_due on delivery_devices (due_at) where due_at is not null`.execute(db)
  await sql`
    create table delivery_needs (
      enrollment_id text primary key,
      cause text not null,
      change_id text,
      asked_at timestamptz not null
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)`.execute(db)
  await sql`create index delivery_needs_order on delivery_needs ((change_id is not null), asked_at, enrollment_id)`.execute(
    db,
  )
  await sql`
    create table delivery_changes (
      id text primary key,
      group_id text,
      kind text,
      thing_id text,
      devices integer not null,
      state text not null check (state in ('running', 'finished', 'stopped')),
      created_at timestamptz not null,
      finished_at timestamptz
    )`.execute(db)
  await sql`
    create table delivered_commands (
      enrollment_id text not null references enrollments on delete cascade,
      item_id text not null references group_contents on delete cascade,
      joined_at timestamptz not null,
      command_uuid text not null,
      primary key (enrollment_id, item_id)
    )`.execute(db)
}
