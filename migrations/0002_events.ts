import { sql, type Kysely } from 'kysely'

/**
 * The outbox is written by the transaction that makes a fact; the one publisher moves its rows to `events` and gives
 * them their ids in commit order, so that a reader who goes on from the last id it saw never misses one.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const columns = sql`
      type text not null,
      at timestamptz not null,
      enrollment_id text,
      serial_number text,
      user_name text,
      reason text,
      attempt_id text,
      data jsonb not null default '{}'`
  await sql`create table event_outbox (seq bigint generated always as identity primary key, ${columns})`.execute(
    db,
  )
  await sql`create table events (id bigint primary key, ${columns})`.execute(db)
  await sql`create index events_enrollment on events (enrollment_id, id) where enrollment_id is not null`.execute(
    db,
  )
  await sql`create index events_attempt on events (attempt_id, id) where attempt_id is not null`.execute(db)
  await sql`create index events_type on events (type, id)`.execute(db)
}
