import { sql, type Kysely, type Selectable } from 'kysely'
import type { Database, Tx } from '../../db/index.ts'
import type { EventFailuresTable } from '../../db/tables/events.ts'
import type { EventType } from './catalogue.ts'
import type { PublishedEvent } from './types.ts'

type Queries = Kysely<Database>

/** An event that a subscription could not handle yet, or that waits for such a one of its device. */
export type Failure = Selectable<EventFailuresTable>

/** Makes sure that there is the subscription; a new one begins with the events that come from now on. */
export async function ensureSubscription(db: Queries, name: string): Promise<void> {
  await sql`
    insert into event_subscriptions (name, cursor) select ${name}, coalesce(max(id), 0) from events
    on conflict do nothing`.execute(db)
}

/** Takes the subscription for this worker, unless another one has it at this moment; how far it is, then. */
export async function lease(
  db: Queries,
  name: string,
  by: { worker: string; now: Date; until: Date },
): Promise<number | undefined> {
  const { rows } = await sql<{ cursor: number }>`
    update event_subscriptions set worker = ${by.worker}, leased_until = ${by.until}
    where name = ${name} and (leased_until is null or leased_until <= ${by.now} or worker = ${by.worker})
    returning cursor`.execute(db)
  return rows[0]?.cursor
}

/** Writes down how far a subscription is, and holds it on; false when another worker has taken it. */
export async function advance(
  db: Queries,
  name: string,
  to: { worker: string; cursor: number; until: Date | null },
): Promise<boolean> {
  const result = await sql`
    update event_subscriptions set cursor = ${to.cursor}, leased_until = ${to.until}
    where name = ${name} and worker = ${to.worker}`.execute(db)
  return result.numAffectedRows === 1n
}

/** The next events of these types, and the id up to which there are no others. */
export async function nextEvents(
  db: Queries,
  query: { after: number; types: readonly EventType[]; limit: number },
): Promise<{ events: PublishedEvent[]; upTo: number }> {
  const { after, types, limit } = query
  const last = await db
    .selectFrom('events')
    .select((eb) => eb.fn.max('id').as('id'))
    .executeTakeFirst()
  const top = last?.id ?? after
  const events = await db
    .selectFrom('events')
    .selectAll()
    .where('id', '>', after)
    .where('id', '<=', top)
    .where('type', 'in', [...types])
    .orderBy('id')
    .limit(limit)
    .execute()
  return { events, upTo: events.length < limit ? Math.max(top, after) : (events.at(-1)?.id ?? after) }
}

/** What waits to be handled again, oldest first. */
export function waitingFailures(db: Queries, name: string): Promise<Failure[]> {
  return db
    .selectFrom('event_failures')
    .selectAll()
    .where('subscription', '=', name)
    .where('stuck_at', 'is', null)
    .orderBy('event_id')
    .execute()
}

/** One event by its id; undefined when it is kept no more. */
export function findEvent(db: Queries, id: number): Promise<PublishedEvent | undefined> {
  return db.selectFrom('events').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Writes down how an event fares. */
export async function saveFailure(trx: Queries | Tx, failure: Failure): Promise<void> {
  const { subscription: _, event_id: __, ...set } = failure
  await trx
    .insertInto('event_failures')
    .values(failure)
    .onConflict((conflict) => conflict.columns(['subscription', 'event_id']).doUpdateSet(set))
    .execute()
}

/** Forgets an event that was handled at last. */
export async function deleteFailure(db: Queries, name: string, eventId: number): Promise<void> {
  await db
    .deleteFrom('event_failures')
    .where('subscription', '=', name)
    .where('event_id', '=', eventId)
    .execute()
}

/** Has an event that was set aside handled again at once; false when there is none. */
export async function replay(db: Queries, name: string, eventId: number, now: Date): Promise<boolean> {
  const result = await db
    .updateTable('event_failures')
    .set({ stuck_at: null, tries: 0, retry_at: now })
    .where('subscription', '=', name)
    .where('event_id', '=', eventId)
    .where('stuck_at', 'is not', null)
    .executeTakeFirst()
  return result.numUpdatedRows === 1n
}

/** How many events each subscription has still to see, and how many it has set aside. */
export async function subscriptionStates(
  db: Queries,
): Promise<{ name: string; behind: number; stuck: number }[]> {
  const { rows } = await sql<{ name: string; behind: number; stuck: number }>`
    select name, greatest(coalesce((select max(id) from events), 0) - cursor, 0) as behind, (
      select count(*) from event_failures f where f.subscription = s.name and f.stuck_at is not null
    ) as stuck
    from event_subscriptions s order by name`.execute(db)
  return rows
}
