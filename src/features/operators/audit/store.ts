import { type Selectable, sql } from 'kysely'
import { jsonText, within, type Queries, type Tx } from '../../../db/index.ts'
import type { AuditTable } from '../../../db/tables/operators.ts'
import type { Head, Link, Told } from './chain.ts'

/** Makes those who number entries wait for each other, in all processes; an arbitrary number that nothing else locks. */
const CHAIN_LOCK = 7_203_045

/** A row of the trail. */
export type AuditRow = Selectable<AuditTable>

/** What is known of an entry without a number. */
type Waiting = { at: Date; content: Partial<Told> & { action: string } }

/** Adds to what was noted with the change, or notes it now. */
export async function completeEntry(
  db: Queries,
  entry: string,
  content: Partial<Told>,
  at: Date,
): Promise<void> {
  await sql`
    insert into audit_outbox (entry, at, is_complete, content)
    values (${entry}, ${at}, true, ${jsonText(content)}::jsonb)
    on conflict (entry) do update set is_complete = true,
      content = audit_outbox.content || (excluded.content - 'outcome' - 'events')`.execute(db)
}

/** Whether anything waits. */
export async function isAnythingWaiting(db: Queries): Promise<boolean> {
  return (await db.selectFrom('audit_outbox').select('seq').limit(1).execute()).length > 0
}

/** Lets nobody else add to the chain until the transaction ends. */
export async function lockChain(trx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${CHAIN_LOCK})`.execute(trx)
}

/** Takes up to `limit` entries that are complete, or have waited since `before` for the rest, the oldest first. */
export async function takeWaiting(trx: Tx, before: Date, limit: number): Promise<Waiting[]> {
  const { rows } = await sql<Waiting & { seq: number }>`
    delete from audit_outbox where ctid = any(array(
      select ctid from audit_outbox where is_complete or at < ${before} order by seq limit ${limit}
      for update skip locked))
    returning seq, at, content`.execute(trx)
  return rows.toSorted((one, other) => one.seq - other.seq)
}

/** The last entry; undefined when there is none. */
export function findHead(db: Queries): Promise<Head | undefined> {
  return db
    .selectFrom('audit')
    .select(['number', 'hash'])
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** Adds entries to the end of the chain. */
export async function insertLinks(trx: Tx, links: readonly Link[]): Promise<void> {
  if (links.length === 0) return
  const rows = links.map(({ number, at, entry, content, hash }) => ({
    ...{ number, at, content, hash, action: entry.action, outcome: entry.outcome },
    ...{ actor_id: entry.actor?.id ?? null, actor_name: entry.actor?.name ?? null },
    ...{ object_kind: entry.object?.kind ?? null, object_id: entry.object?.id ?? null },
  }))
  await trx.insertInto('audit').values(rows).execute()
}

/** What a reader may ask for. */
export interface AuditQuery {
  /** Its id or name. */
  actor?: string | undefined
  action?: string | undefined
  /** Its kind or id. */
  object?: string | undefined
  outcome?: 'done' | 'refused' | undefined
  since?: string | undefined
  until?: string | undefined
  /** Only entries before this one. */
  beforeNumber?: number | undefined
  limit: number
}

/** Entries, newest first. */
export function listEntries(db: Queries, query: AuditQuery): Promise<AuditRow[]> {
  const { actor, action, object, outcome, beforeNumber } = query
  let select = db.selectFrom('audit').selectAll().where(within('at', query))
  if (actor !== undefined)
    select = select.where((eb) => eb.or([eb('actor_id', '=', actor), eb('actor_name', '=', actor)]))
  if (action !== undefined) select = select.where('action', '=', action)
  if (object !== undefined)
    select = select.where((eb) => eb.or([eb('object_id', '=', object), eb('object_kind', '=', object)]))
  if (outcome !== undefined) select = select.where('outcome', '=', outcome)
  if (beforeNumber !== undefined) select = select.where('number', '<', beforeNumber)
  return select.orderBy('number', 'desc').limit(query.limit).execute()
}

/** Entries after a number, oldest first. */
export function readOn(db: Queries, after: number, limit: number): Promise<AuditRow[]> {
  return db
    .selectFrom('audit')
    .selectAll()
    .where('number', '>', after)
    .orderBy('number')
    .limit(limit)
    .execute()
}

/** The number and hash of one entry. */
export function findLink(db: Queries, number: number): Promise<Head | undefined> {
  return db.selectFrom('audit').select(['number', 'hash']).where('number', '=', number).executeTakeFirst()
}

/** The newest entry of an action. */
export function findNewest(db: Queries, action: string): Promise<AuditRow | undefined> {
  return db
    .selectFrom('audit')
    .selectAll()
    .where('action', '=', action)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** The last entry before which all are older than a time; undefined when the oldest is not. */
export async function lastBefore(trx: Tx, before: Date): Promise<Head | undefined> {
  const { rows } = await sql<Head>`
    select number, hash from audit where number < coalesce(
      (select min(number) from audit where at >= ${before}), (select max(number) from audit) + 1)
    order by number desc limit 1`.execute(trx)
  return rows[0]
}

/** Deletes the entries up to a number; returns how many. The database lets it happen in this transaction alone. */
export async function deleteUpTo(trx: Tx, number: number): Promise<number> {
  await sql`select set_config('firstboot.audit_retention', 'on', true)`.execute(trx)
  const { numDeletedRows } = await trx.deleteFrom('audit').where('number', '<=', number).executeTakeFirst()
  await sql`select set_config('firstboot.audit_retention', 'off', true)`.execute(trx)
  return Number(numDeletedRows)
}
