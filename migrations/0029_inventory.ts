import { sql, type Kysely } from 'kysely'

/** What devices told of themselves, in columns; when each is asked again; and how devices are to be called. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await details(db)
  await lists(db)
  await schedule(db)
  await names(db)
}

async function details(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table device_details (
      enrollment_id text primary key references enrollments on delete cascade,
      facts jsonb not null default '{}',
      search_terms text[] not null default '{}',
      battery_level real,
      capacity_gb real,
      available_capacity_gb real,
      passcode_present boolean,
      passcode_compliant boolean,
      hardware_encryption integer,
      file_vault_enabled boolean,
      activation_lock_enabled boolean,
      cloud_backup_enabled boolean,
      carrier text,
      authenticated_at timestamptz,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create index device_details_search on device_details using gin (search_terms)`.execute(db)
}

async function lists(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table device_lists (
      enrollment_id text not null references enrollments on delete cascade,
      kind text not null,
      received_at timestamptz not null,
      primary key (enrollment_id, kind)
    )`.execute(db)
  await sql`
    create table device_profiles (
      enrollment_id text not null references enrollments on delete cascade,
      identifier text not null,
      uuid text not null,
      display_name text,
      organization text,
      payload_version integer,
      is_managed boolean,
      is_removal_disallowed boolean,
      has_removal_passcode boolean,
      is_encrypted boolean,
      source text,
      payload_types text[] not null,
      received_at timestamptz not null,
      primary key (enrollment_id, identifier, uuid)
    )`.execute(db)
  await sql`
    create table device_apps (
      enrollment_id text not null references enrollments on delete cascade,
      identifier text not null,
      is_installed boolean not null default false,
      name text,
      version text,
      short_version text,
      bundle_size bigint,
      is_installing boolean,
      is_validated boolean,
      external_version bigint,
      source text,
      managed_status text,
      management_flags integer,
      has_configuration boolean,
      has_feedback boolean,
      received_at timestamptz not null,
      primary key (enrollment_id, identifier)
    )`.execute(db)
  await sql`create index device_profiles_identifier on device_profiles (identifier, enrollment_id)`.execute(
    db,
  )
  await sql`create index device_apps_identifier on device_apps (identifier, enrollment_id)`.execute(db)
}

async function schedule(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table inventory_schedule (
      enrollment_id text primary key references enrollments on delete cascade,
      asked_at timestamptz not null,
      next_at timestamptz not null
    )`.execute(db)
  await sql`create index inventory_schedule_next on inventory_schedule (next_at)`.execute(db)
  // Devices that were enrolled before are asked in the course of a day.
  await sql`
    insert into inventory_schedule (enrollment_id, asked_at, next_at)
    select id, now(), now() + random() * interval '1 day' from enrollments
    where unenrolled_at is null and token_update_tally > 0`.execute(db)
}

async function names(db: Kysely<unknown>): Promise<void> {
  await sql`alter table enrollment_policies add column device_name_template text`.execute(db)
  await sql`
    create table device_names (
      enrollment_id text primary key references enrollments on delete cascade,
      wanted text not null,
      authenticated_at timestamptz,
      tries integer not null default 0,
      state text not null check (state in ('asked', 'named', 'left', 'refused')),
      updated_at timestamptz not null
    )`.execute(db)
}
