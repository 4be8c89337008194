import { sql, type Kysely } from 'kysely'

/** Revisions that are released in rings; one at a time of a thing. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table rollouts (
      id text primary key,
      kind text not null check (kind in ('profile', 'app')),
      thing_id text not null,
      revision integer not null,
      rings jsonb not null,
      group_ids text[] not null,
      advance_after_minutes integer,
      halt_at_failure_percent integer not null,
      halt_minimum integer not null,
      state text not null check (state in ('running', 'halted', 'finished', 'rolled_back')),
      ring integer not null,
      ring_started_at timestamptz not null,
      reason text,
      counts jsonb,
      version integer not null default 1,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create unique index rollouts_open on rollouts (kind, thing_id) where state in ('running', 'halted')`.execute(
    db,
  )
  await sql`create index rollouts_created on rollouts (created_at, id)`.execute(db)
}
