import { sql, type Kysely } from 'kysely'

/** One installation: its id, a sealed probe that tells whether the secret key is the right one, and its settings. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table instance (
      only_row boolean primary key default true check (only_row),
      id text not null,
      secret_probe bytea not null,
      created_at timestamptz not null default now()
    )`.execute(db)
  await sql`
    create table settings (
      only_row boolean primary key default true check (only_row),
      values jsonb not null default '{}',
      version integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`insert into settings default values`.execute(db)
}
