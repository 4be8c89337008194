import { sql, type Kysely } from 'kysely'

/**
 * Webhooks: how far each is among the events, and the deliveries that failed or wait. Of what was delivered the last ones are kept
 * to be shown.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table webhooks (
      id text primary key,
      version integer not null default 1,
      name text not null,
      url text not null,
      shape text not null,
      types text[],
      enabled boolean not null,
      disabled_reason text,
      secret bytea not null,
      previous_secret bytea,
      previous_valid_until timestamptz,
      cursor bigint not null,
      unreachable_tries integer not null default 0,
      paused_until timestamptz,
      worker text,
      worker_until timestamptz,
      created_at timestamptz not null,
      updated_at timestamptz not null
    )`.execute(db)
  await sql`
    create table webhook_deliveries (
      webhook_id text not null references webhooks on delete cascade,
      event_id bigint not null,
      lane text,
      state text not null,
      tries integer not null,
      first_try_at timestamptz,
      last_try_at timestamptz,
      retry_at timestamptz,
      refused_since timestamptz,
      status integer,
      duration_ms integer,
      answer_bytes integer,
      error text,
      primary key (webhook_id, event_id)
    )`.execute(db)
  await sql`
    create index webhook_deliveries_lane on webhook_deliveries (webhook_id, lane, event_id)
    where state in ('pending', 'failed')`.execute(db)
  await sql`
    create index webhook_deliveries_due on webhook_deliveries (webhook_id, retry_at)
    where state in ('pending', 'failed')`.execute(db)
  await sql`create index webhook_deliveries_state on webhook_deliveries (webhook_id, state, event_id)`.execute(
    db,
  )
}
