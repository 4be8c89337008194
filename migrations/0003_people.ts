import { sql, type Kysely } from 'kysely'

/** People who enrol devices, and those (or programs) who operate the server. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table users (
      id text primary key,
      user_name text not null,
      user_name_key text not null unique,
      display_name text not null default '',
      email text,
      password_hash text,
      device_limit integer check (device_limit >= 0),
      enrollment_manager boolean not null default false,
      disabled boolean not null default false,
      must_change_password boolean not null default false,
      password_expires_at timestamptz,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create table api_tokens (
      id text primary key,
      name text not null,
      role text not null check (role in ('viewer', 'operator', 'admin')),
      secret_hash bytea not null unique,
      expires_at timestamptz,
      last_used_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create table idempotency_keys (
      token_id text not null,
      key text not null,
      request_hash bytea not null,
      started_at timestamptz not null,
      status integer,
      headers jsonb,
      body text,
      primary key (token_id, key)
    )`.execute(db)
  await sql`create index idempotency_keys_started on idempotency_keys (started_at)`.execute(db)
}
