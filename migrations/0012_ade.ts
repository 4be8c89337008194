import { sql, type Kysely } from 'kysely'

/**
 * Apple's side: ADE servers with their keys and tokens, the runs of their syncs, the serial numbers Apple assigned to
 * us, and the ADE profiles that were defined at Apple (one per policy and server). `key` is the unguessable part of
 * the address that a device of this policy and server enrols at. `ade_calls` holds the one change that is being made at
 * Apple for a server; one that is found there later is a change of which nobody knows whether it was made.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table ade_servers (
      id text primary key,
      name text not null unique,
      certificate bytea not null,
      private_key bytea not null,
      staged_certificate bytea,
      staged_private_key bytea,
      token bytea,
      consumer_key text,
      apple_id text,
      token_expires_at timestamptz,
      token_stored_at timestamptz,
      token_warned_days integer,
      stopped_reason text,
      server_uuid text,
      server_name text,
      org_name text,
      org_id text,
      fetch_limit integer,
      sync_limit integer,
      account_read_at timestamptz,
      default_policy_id text references enrollment_policies,
      cursor text,
      cursor_is_complete boolean not null default false,
      full_sync_mark text,
      last_full_sync_started_at timestamptz,
      next_scheduled_sync_at timestamptz,
      paused_until timestamptz,
      failed_calls integer not null default 0,
      calls_retry_at timestamptz,
      worker text,
      worker_until timestamptz,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create table ade_syncs (
      id text primary key,
      ade_server_id text not null references ade_servers on delete cascade,
      kind text not null check (kind in ('full', 'incremental')),
      state text not null check (state in ('running', 'succeeded', 'failed', 'timed_out')),
      trigger text not null check (trigger in ('operator', 'schedule', 'first_token')),
      started_at timestamptz not null,
      ends_by timestamptz not null,
      finished_at timestamptz,
      seen integer not null default 0,
      added integer not null default 0,
      changed integer not null default 0,
      removed integer not null default 0,
      error text,
      error_code text,
      worker text,
      worker_until timestamptz
    )`.execute(db)
  await sql`
    create unique index ade_syncs_running on ade_syncs (ade_server_id) where state = 'running'`.execute(db)
  await sql`create index ade_syncs_server on ade_syncs (ade_server_id, id)`.execute(db)
  await sql`
    create table ade_profiles (
      ade_server_id text not null references ade_servers on delete cascade,
      policy_id text not null references enrollment_policies on delete cascade,
      key text not null unique,
      wanted_hash bytea,
      defined_hash bytea,
      profile_uuid text,
      defined_at timestamptz,
      retry_at timestamptz,
      attempts integer not null default 0,
      error text,
      primary key (ade_server_id, policy_id)
    )`.execute(db)
  await sql`
    create table ade_calls (
      ade_server_id text primary key references ade_servers on delete cascade,
      kind text not null check (kind in ('define', 'assign', 'remove')),
      policy_id text,
      hash bytea,
      profile jsonb,
      profile_uuid text,
      serial_numbers text[] not null,
      started_at timestamptz not null
    )`.execute(db)
  await sql`
    create table ade_devices (
      serial_number text primary key,
      ade_server_id text references ade_servers on delete set null,
      model text,
      description text,
      color text,
      asset_tag text,
      device_family text,
      os text,
      op_date timestamptz,
      device_assigned_date timestamptz,
      device_assigned_by text,
      mdm_migration_deadline timestamptz,
      seen_in_sync text,
      policy_id text references enrollment_policies on delete set null,
      policy_set_at timestamptz,
      policy_judged_at timestamptz,
      apple_profile_uuid text,
      apple_profile_status text,
      profile_assign_time timestamptz,
      profile_push_time timestamptz,
      assignment_state text check (assignment_state in ('pending', 'assigned', 'throttled', 'failed')),
      assignment_retry_at timestamptz,
      assignment_attempts integer not null default 0,
      assignment_error text,
      assigned_at timestamptz,
      apple_seen_at timestamptz,
      running_profile_uuid text,
      contacted_at timestamptz,
      enrolled_at timestamptz,
      unenrolled_at timestamptz,
      blocked_at timestamptz,
      released_at timestamptz,
      removed_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null
    ) with (fillfactor = 80)`.execute(db)
  await sql`create index ade_devices_server on ade_devices (ade_server_id, serial_number)`.execute(db)
  await sql`create index ade_devices_policy on ade_devices (policy_id) where policy_id is not null`.execute(
    db,
  )
  await sql`
    create index ade_devices_unsettled on ade_devices (ade_server_id, policy_id)
      where assignment_state in ('pending', 'throttled', 'failed')`.execute(db)
  await sql`
    create index ade_devices_unjudged on ade_devices (policy_set_at)
      where policy_set_at is not null and policy_judged_at is null`.execute(db)
}
