import { sql, type Insertable, type Kysely, type Selectable, type Updateable } from 'kysely'
import { jsonText, type Tx } from '../../../db/index.ts'
import type { WebhookDeliveriesTable, WebhooksTable } from '../../../db/tables/events.ts'
import type { Database } from '../../../db/tables/index.ts'

type Queries = Kysely<Database>

export type WebhookRow = Selectable<WebhooksTable>

/** How many of its deliveries wait to be tried again, and how many are given up. */
export interface WebhookCounts {
  waiting: number
  dead: number
}

const withCounts = sql<WebhookRow & WebhookCounts>`
  select w.*,
    (select count(*)::integer from webhook_deliveries d
      where d.webhook_id = w.id and d.state in ('pending', 'failed')) as waiting,
    (select count(*)::integer from webhook_deliveries d where d.webhook_id = w.id and d.state = 'dead') as dead
  from webhooks w`

/** Webhooks from the oldest on. */
export async function listWebhooks(
  db: Queries,
  query: { limit: number; after?: string | undefined },
): Promise<(WebhookRow & WebhookCounts)[]> {
  const { rows } = await sql<WebhookRow & WebhookCounts>`
    ${withCounts} where ${query.after ?? null}::text is null or w.id > ${query.after ?? null}
    order by w.id limit ${query.limit}`.execute(db)
  return rows
}

export async function findWebhook(
  db: Queries,
  id: string,
): Promise<(WebhookRow & WebhookCounts) | undefined> {
  const { rows } = await sql<WebhookRow & WebhookCounts>`${withCounts} where w.id = ${id}`.execute(db)
  return rows[0]
}

/** The table that what is sent comes from. */
const sourceOf = ({ shape }: Pick<WebhookRow, 'shape'>) =>
  sql.table(shape === 'nanomdm' ? 'device_messages' : 'events')

export function lockWebhook(trx: Tx, id: string): Promise<WebhookRow | undefined> {
  return trx.selectFrom('webhooks').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

export async function countWebhooks(trx: Tx): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::integer as n from webhooks`.execute(trx)
  return rows[0]?.n ?? 0
}

/** Inserts a webhook that begins with what is published from now on. */
export async function insertWebhook(
  trx: Tx,
  webhook: Omit<Insertable<WebhooksTable>, 'cursor'>,
): Promise<void> {
  const cursor = sql<number>`(select coalesce(max(id), 0) from ${sourceOf(webhook)})`
  await trx
    .insertInto('webhooks')
    .values({ ...webhook, cursor })
    .execute()
}

/** Changes a webhook; its version rises. */
export async function updateWebhook(trx: Tx, id: string, set: Updateable<WebhooksTable>): Promise<void> {
  await trx
    .updateTable('webhooks')
    .set({ ...set, version: sql`version + 1` })
    .where('id', '=', id)
    .execute()
}

export async function deleteWebhook(trx: Tx, id: string): Promise<void> {
  await trx.deleteFrom('webhooks').where('id', '=', id).execute()
}

/** Has what failed tried again at once, with all its time before it if `anew`. */
export async function retryNow(trx: Tx, id: string, now: Date, { anew }: { anew: boolean }): Promise<void> {
  await trx
    .updateTable('webhook_deliveries')
    .set({ retry_at: now, ...(anew && { first_try_at: null, refused_since: null, tries: 0 }) })
    .where('webhook_id', '=', id)
    .where('state', 'in', ['pending', 'failed'])
    .execute()
}

/** Sets a webhook back to after an event; what became of later ones is forgotten. Gives the number of events to come. */
export async function rewind(trx: Tx, webhook: WebhookRow, to: number): Promise<number> {
  const { id, types } = webhook
  await trx.deleteFrom('webhook_deliveries').where('webhook_id', '=', id).where('event_id', '>', to).execute()
  await trx
    .updateTable('webhooks')
    .set({ cursor: sql`least(cursor, ${to})`, unreachable_tries: 0, paused_until: null })
    .where('id', '=', id)
    .execute()
  const { rows } = await sql<{ n: number }>`
    select count(*)::integer as n from ${sourceOf(webhook)} e
    where e.id > ${to} ${types === null ? sql`` : sql`and e.type = any(${types}::text[])`}`.execute(trx)
  return rows[0]?.n ?? 0
}

/** A delivery with the type of its event, which is null when the event is kept no more. */
export type DeliveryRow = Selectable<WebhookDeliveriesTable> & { type: string | null }

/** Deliveries from the newest on; events that a webhook has not looked at yet are among them, as `pending`. */
export async function listDeliveries(
  db: Queries,
  webhook: Pick<WebhookRow, 'id' | 'types' | 'cursor' | 'shape'>,
  query: { state?: DeliveryRow['state'] | undefined; before?: number | undefined; limit: number },
): Promise<DeliveryRow[]> {
  const { state = null, before = null, limit } = query
  const source = sourceOf(webhook)
  const type = sql.ref(webhook.shape === 'nanomdm' ? 'topic' : 'type')
  const { rows } = await sql<DeliveryRow>`
    select d.*, e.${type} as type from (
      (select * from webhook_deliveries
        where webhook_id = ${webhook.id} and (${state}::text is null or state = ${state})
          and (${before}::bigint is null or event_id < ${before})
        order by event_id desc limit ${limit})
      union all
      (select ${webhook.id}, id, null, 'pending', 0, null, null, null, null, null, null, null, null from ${source}
        where coalesce(${state}::text, 'pending') = 'pending' and id > ${webhook.cursor}
          and (${webhook.types}::text[] is null or ${type} = any(${webhook.types}::text[]))
          and (${before}::bigint is null or id < ${before})
        order by id desc limit ${limit})
    ) d left join ${source} e on e.id = d.event_id
    order by d.event_id desc limit ${limit}`.execute(db)
  return rows
}

/** Deletes what is dead and kept no more as an event. */
export async function deleteDead(db: Queries): Promise<void> {
  await sql`
    delete from webhook_deliveries d using webhooks w
    where d.webhook_id = w.id and d.state = 'dead' and d.event_id < case w.shape
      when 'nanomdm' then (select min(id) from device_messages) else (select min(id) from events) end`.execute(
    db,
  )
}

/** An outcome as it is written down. */
export type Outcome = Omit<Selectable<WebhookDeliveriesTable>, 'webhook_id'>

/** Writes down what became of events. */
export async function saveOutcomes(trx: Tx, id: string, outcomes: readonly Outcome[]): Promise<void> {
  if (outcomes.length === 0) return
  await sql`
    insert into webhook_deliveries (webhook_id, event_id, lane, state, tries, first_try_at, last_try_at, retry_at,
      refused_since, status, duration_ms, answer_bytes, error)
    select ${id}, event_id, lane, state, tries, first_try_at, last_try_at, retry_at, refused_since, status,
      duration_ms, answer_bytes, error
    from json_to_recordset(${jsonText(outcomes)}::json) as o (event_id bigint, lane text, state text, tries integer,
      first_try_at timestamptz, last_try_at timestamptz, retry_at timestamptz, refused_since timestamptz,
      status integer, duration_ms integer, answer_bytes integer, error text)
    on conflict (webhook_id, event_id) do update set state = excluded.state, tries = excluded.tries,
      first_try_at = excluded.first_try_at, last_try_at = excluded.last_try_at, retry_at = excluded.retry_at,
      refused_since = excluded.refused_since, status = excluded.status, duration_ms = excluded.duration_ms,
      answer_bytes = excluded.answer_bytes, error = excluded.error`.execute(trx)
}
