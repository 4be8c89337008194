import { sql, type Kysely } from 'kysely'
import { jsonText, within, type Db, type Tx } from '../../db/index.ts'
import type { Database } from '../../db/tables/index.ts'
import type { EventType } from './catalogue.ts'
import { withMaker, type NewEvent, type PublishedEvent } from './types.ts'

/** Serialises publishers of all processes; an arbitrary number that nothing else locks. */
const PUBLISHER_LOCK = 7_203_001

/** Puts facts into the outbox, in the order given. */
export async function insertIntoOutbox(trx: Tx, events: readonly NewEvent[], at: Date): Promise<void> {
  if (events.length === 0) return
  await sql`
    insert into event_outbox (type, at, by, via, enrollment_id, serial_number, user_name, reason, attempt_id, data)
    select type, ${at}::timestamptz, by, via, enrollment_id, serial_number, user_name, reason, attempt_id,
      coalesce(data, '{}')
    from json_to_recordset(${jsonText(events.map(withMaker))}::json) as e (type text, by jsonb, via text,
      enrollment_id text, serial_number text, user_name text, reason text, attempt_id text, data jsonb)`.execute(
    trx,
  )
}

/**
 * Moves up to `limit` facts from the outbox to the published ones and returns how many. Ids are given under a lock
 * that is held until commit, so a smaller id is never seen after a greater one. Another publisher at work: 0.
 */
export function publishBatch(db: Db, limit: number): Promise<number> {
  return db.transaction(async (trx) => {
    const lock = await sql<{ got: boolean }>`
      select pg_try_advisory_xact_lock(${PUBLISHER_LOCK}) as got`.execute(trx)
    if (!lock.rows[0]?.got) return 0
    const moved = await sql`
      with taken as (
        delete from event_outbox where ctid = any(array(
          select ctid from event_outbox order by seq limit ${limit})) returning *
      )
      insert into events (id, type, at, by, via, enrollment_id, serial_number, user_name, reason, attempt_id, data)
      select coalesce((select max(id) from events), 0) + row_number() over (order by seq),
        type, at, by, via, enrollment_id, serial_number, user_name, reason, attempt_id, data
      from taken`.execute(trx)
    return Number(moved.numAffectedRows ?? 0n)
  })
}

/** What a reader may ask for: the facts after an id, of a type, of one device. */
export interface EventQuery {
  after?: number
  type?: EventType | undefined
  /** When it happened, RFC 3339. */
  since?: string
  until?: string
  /** Of this enrollment, or of the attempt by which it got in. */
  device?: { enrollmentId: string; attemptId: string | null }
  limit: number
}

/** Published facts, oldest first. */
export function listEvents(db: Kysely<Database>, query: EventQuery): Promise<PublishedEvent[]> {
  let select = db.selectFrom('events').selectAll().where(within('at', query)).orderBy('id').limit(query.limit)
  if (query.after !== undefined) select = select.where('id', '>', query.after)
  if (query.type !== undefined) select = select.where('type', '=', query.type)
  const { device } = query
  if (device)
    select = select.where((eb) =>
      eb.or([eb('enrollment_id', '=', device.enrollmentId), eb('attempt_id', '=', device.attemptId)]),
    )
  return select.execute()
}

/** The ids of the oldest published fact that is kept and of the newest one; 0 while there is none. */
export async function boundsOf(db: Kysely<Database>): Promise<{ oldest: number; newest: number }> {
  const { rows } = await sql<{ oldest: number; newest: number }>`
    select coalesce((select min(id) from events), 0) as oldest, coalesce((select max(id) from events), 0) as newest`.execute(
    db,
  )
  return rows[0] ?? { oldest: 0, newest: 0 }
}

/** Those of these published facts that are kept. */
export function eventsById(db: Kysely<Database>, ids: readonly number[]): Promise<PublishedEvent[]> {
  return db.selectFrom('events').selectAll().where('id', 'in', ids).execute()
}

/** The first published fact since `before`, else the newest one, which stays for its id; undefined while there is none. */
export async function firstSince(db: Kysely<Database>, before: Date): Promise<number | undefined> {
  const { rows } = await sql<{ id: number | null }>`
    select coalesce((select id from events where at >= ${before} order by id limit 1), max(id)) as id from events`.execute(
    db,
  )
  return rows[0]?.id ?? undefined
}

/** Deletes published facts before this one, at most `limit` of them; returns how many. What is kept has no gap by that. */
export async function deleteEventsBefore(db: Kysely<Database>, id: number, limit: number): Promise<number> {
  const result = await sql`
    delete from events where id = any(array(select id from events where id < ${id} order by id limit ${limit}))`.execute(
    db,
  )
  return Number(result.numAffectedRows ?? 0n)
}
