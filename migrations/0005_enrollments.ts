import { sql, type Kysely } from 'kysely'

/**
 * Enrollments: device channels and user channels alike, one row each. `id` is spelled as the device sent it and is
 * unique whatever the case. A row is live from Authenticate (`authenticated_at`) until `unenrolled_at`.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table enrollments (
      id text primary key,
      type text not null check (type in
        ('device', 'user', 'shared_ipad_user', 'user_enrollment_device', 'user_enrollment_user')),
      parent_id text references enrollments on delete cascade,
      udid text,
      channel_user_id text,
      user_short_name text,
      user_long_name text,
      serial_number text,
      user_id text references users on delete set null,
      attempt_id text,
      policy_id text,
      link_id text,
      topic text,
      push_token bytea,
      token_updated_at timestamptz,
      push_magic text,
      unlock_token bytea,
      bootstrap_token bytea,
      awaiting_configuration boolean not null default false,
      not_on_console boolean,
      token_update_tally integer not null default 0,
      generation integer not null default 1,
      model text,
      model_name text,
      product_name text,
      device_name text,
      os_version text,
      build_version text,
      imei text,
      meid text,
      supervised boolean,
      authenticated_at timestamptz,
      enrolled_at timestamptz,
      unenrolled_at timestamptz,
      unenroll_reason text,
      last_seen_at timestamptz,
      push_state text not null default 'waiting_for_token'
        check (push_state in ('waiting_for_token', 'ok', 'gone')),
      push_reason text,
      last_push_at timestamptz,
      last_push_result text,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    ) with (fillfactor = 75)`.execute(db)
  await sql`create unique index enrollments_id_key on enrollments (lower(id))`.execute(db)
  await sql`create index enrollments_parent on enrollments (parent_id) where parent_id is not null`.execute(
    db,
  )
  await sql`create index enrollments_serial on enrollments (serial_number)`.execute(db)
  await sql`create index enrollments_user on enrollments (user_id) where user_id is not null`.execute(db)
  await sql`
    create index enrollments_half on enrollments (authenticated_at)
      where token_update_tally = 0 and unenrolled_at is null and parent_id is null`.execute(db)
  await sql`
    create table device_inventory (
      enrollment_id text not null references enrollments on delete cascade,
      kind text not null,
      received_at timestamptz not null,
      data bytea not null,
      primary key (enrollment_id, kind)
    )`.execute(db)
  await sql`alter table device_inventory alter column data set storage external`.execute(db)
  await sql`
    create table checkin_messages (
      enrollment_id text not null,
      message_type text not null,
      received_at timestamptz not null,
      raw bytea not null
    ) partition by range (received_at)`.execute(db)
  await sql`alter table checkin_messages alter column raw set storage external`.execute(db)
  await sql`create index checkin_messages_enrollment on checkin_messages (enrollment_id, received_at)`.execute(
    db,
  )
}
