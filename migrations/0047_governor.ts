import { sql, type Kysely } from 'kysely'

/**
 * What destroys something is counted by act, and above a limit waits for a second person. An approval keeps, sealed, what is
 * to be done, and of each device what it was when that was asked for.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table governor (
      only_row boolean primary key default true check (only_row),
      settings jsonb not null default '{}',
      stopped jsonb,
      version integer not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    )`.execute(db)
  await sql`insert into governor default values`.execute(db)
  await sql`
    create table governor_uses (
      act text not null,
      asker text not null,
      devices integer not null,
      at timestamptz not null
    )`.execute(db)
  await sql`create index governor_uses_by_act on governor_uses (act, at)`.execute(db)
  await sql`
    create table approvals (
      id text primary key,
      act text not null,
      role text not null,
      state text not null check (state in ('waiting', 'approved', 'rejected', 'cancelled', 'expired')),
      reason text,
      device_ids text[] not null,
      marks text[] not null,
      skipped_ids text[] not null default '{}',
      deed text not null,
      params bytea not null,
      asked_by jsonb not null,
      makers text[] not null,
      via text not null,
      decided_by jsonb,
      decided_at timestamptz,
      expires_at timestamptz not null,
      due_at timestamptz,
      done_at timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`create index approvals_by_state on approvals (state, id)`.execute(db)
  await sql`create index approvals_due on approvals (due_at) where due_at is not null`.execute(db)
  await sql`alter table commands add column governed text`.execute(db)
  await sql`
    alter table group_contents
      add column put_by jsonb, add column put_via text, add column put_makers text[] not null default '{}'`.execute(
    db,
  )
}
