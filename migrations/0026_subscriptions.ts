import { sql, type Kysely } from 'kysely'

/** What inside the server follows published events: how far each subscription is, and which events it could not handle yet. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table event_subscriptions (
      name text primary key,
      cursor bigint not null,
      worker text,
      leased_until timestamptz
    )`.execute(db)
  await sql`
    create table event_failures (
      subscription text not null references event_subscriptions on delete cascade,
      event_id bigint not null,
      enrollment_id text,
      tries integer not null,
      retry_at timestamptz not null,
      error text,
      stuck_at timestamptz,
      primary key (subscription, event_id)
    )`.execute(db)
}
