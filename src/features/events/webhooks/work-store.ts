import { sql, type Kysely } from 'kysely'
import type { Tx } from '../../../db/index.ts'
import type { Database } from '../../../db/tables/index.ts'
import type { Outcome, WebhookRow } from './store.ts'

type Queries = Kysely<Database>

/** Which webhooks have something to send that no living process is at. */
export async function withWork(db: Queries, now: Date): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select w.id from webhooks w
    where w.enabled and (w.paused_until is null or w.paused_until <= ${now})
      and (w.worker is null or w.worker_until <= ${now})
      and (
        exists (
          select from webhook_deliveries d
          where d.webhook_id = w.id and d.state in ('pending', 'failed') and d.retry_at <= ${now} and not exists (
            select from webhook_deliveries b
            where b.webhook_id = w.id and b.lane = d.lane and b.event_id < d.event_id
              and b.state in ('pending', 'failed') and b.retry_at > ${now}))
        or (w.types is null and w.cursor < case w.shape
          when 'nanomdm' then (select max(id) from device_messages) else (select max(id) from events) end)
        or exists (
          select from unnest(w.types) as t (type),
            lateral (select from events e where e.type = t.type and (e.type, e.id) > (t.type, w.cursor) limit 1) e)
      )`.execute(db)
  return rows.map(({ id }) => id)
}

/** A webhook as it is now, while this worker has it. */
export function heldWebhook(db: Queries, id: string, worker: string): Promise<WebhookRow | undefined> {
  return db
    .selectFrom('webhooks')
    .selectAll()
    .where('id', '=', id)
    .where('worker', '=', worker)
    .executeTakeFirst()
}

/** What is due, the oldest first: with those behind them in their lanes, and none that has to wait for another. */
export async function dueDeliveries(db: Queries, id: string, now: Date, limit: number): Promise<Outcome[]> {
  const { rows } = await sql<Outcome>`
    select d.* from webhook_deliveries d
    where d.webhook_id = ${id} and d.state in ('pending', 'failed') and d.retry_at <= ${now} and not exists (
      select from webhook_deliveries b
      where b.webhook_id = ${id} and b.lane = d.lane and b.event_id < d.event_id
        and b.state in ('pending', 'failed') and b.retry_at > ${now})
    order by d.event_id limit ${limit}`.execute(db)
  return rows
}

/** Of these lanes, those in which something waits. */
export async function busyLanes(db: Queries, id: string, lanes: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ lane: string }>`
    select distinct lane from webhook_deliveries
    where webhook_id = ${id} and state in ('pending', 'failed') and lane = any(${[...lanes]}::text[])`.execute(
    db,
  )
  return new Set(rows.map(({ lane }) => lane))
}

/** Moves a webhook on; false when another worker has it, or it was set back, so that what was done does not count. */
export async function moveOn(
  trx: Tx,
  { id, worker, cursor }: WebhookRow,
  to: { cursor: number; unreachableTries: number; pausedUntil: Date | null },
): Promise<boolean> {
  const result = await sql`
    update webhooks set cursor = ${to.cursor}, unreachable_tries = ${to.unreachableTries},
      paused_until = ${to.pausedUntil}
    where id = ${id} and worker = ${worker} and cursor = ${cursor}`.execute(trx)
  return result.numAffectedRows === 1n
}

/** Gives up what a webhook that cannot be reached was first sent before `before`; how many that are, and the first. */
export async function giveUp(
  trx: Tx,
  id: string,
  before: Date,
): Promise<{ count: number; first: number | null }> {
  const { rows } = await sql<{ count: number; first: number | null }>`
    with dead as (
      update webhook_deliveries set state = 'dead', retry_at = null
      where webhook_id = ${id} and state in ('pending', 'failed') and first_try_at <= ${before} returning event_id
    )
    select count(*)::integer as count, min(event_id) as first from dead`.execute(trx)
  return rows[0] ?? { count: 0, first: null }
}

/** Deletes what was delivered, but for the last `keep`. */
export async function trimDelivered(trx: Tx, id: string, keep: number): Promise<void> {
  await sql`
    delete from webhook_deliveries where webhook_id = ${id} and state = 'delivered' and event_id < (
      select event_id from webhook_deliveries where webhook_id = ${id} and state = 'delivered'
      order by event_id desc offset ${keep - 1} limit 1)`.execute(trx)
}
