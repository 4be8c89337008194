import { sql, type Kysely } from 'kysely'

/** Where people prove who they are, the web sessions in which they do, and who failed too often. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table sign_in_sources (
      id text primary key,
      kind text not null check (kind in ('local', 'ws_trust', 'oidc')),
      name text not null unique,
      config jsonb not null default '{}',
      client_secret bytea,
      create_users boolean not null default true,
      version integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`create unique index sign_in_sources_local on sign_in_sources (kind) where kind = 'local'`.execute(
    db,
  )
  await sql`insert into sign_in_sources (id, kind, name) values ('local', 'local', 'Local accounts')`.execute(
    db,
  )
  await sql`
    create table sign_in_failures (
      subject text primary key,
      count integer not null,
      previous integer not null,
      window_started_at timestamptz not null,
      locked_until timestamptz
    )`.execute(db)
  await sql`
    create table web_sessions (
      id_hash bytea primary key,
      state bytea not null,
      expires_at timestamptz not null,
      created_at timestamptz not null
    )`.execute(db)
  await sql`create index web_sessions_expires on web_sessions (expires_at)`.execute(db)
}
