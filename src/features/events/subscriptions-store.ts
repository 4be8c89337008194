import { sql, type Kysely, type RawBuilder, type Selectable } from 'kysely'
import type { Database, Tx } from '../../db/index.ts'
import type { EventFailuresTable } from '../../db/tables/events.ts'
import type { EventType } from './catalogue.ts'
import type { PublishedEvent } from './types.ts'

type Queries = Kysely<Database>

/**
 * Of the events of `type`, those after `id`, in SQL. Said as one comparison it is a range of the index by type; said as two, it may
 * be looked for among all events that have come since.
 */
const eventsAfter = (type: RawBuilder<unknown>, id: RawBuilder<unknown>) =>
  sql`events e where e.type = ${type} and (e.type, e.id) > (${type}, ${id})`

/** An event that a subscription could not handle yet, or that waits for such a one of its device. */
export type Failure = Selectable<EventFailuresTable>

/** Makes sure that there is the subscription; a new one begins with the events that come from now on. */
export async function ensureSubscription(db: Queries, name: string): Promise<void> {
  await sql`
    insert into event_subscriptions (name, cursor) select ${name}, coalesce(max(id), 0) from events
    on conflict do nothing`.execute(db)
}

/** Which of these subscriptions have an event that they have not looked at, or one whose next try is due and that waits for no other. */
export async function withWork(
  db: Queries,
  subscriptions: readonly { name: string; types: readonly EventType[] }[],
  now: Date,
): Promise<Set<string>> {
  const followed = subscriptions.flatMap(({ name, types }) => types.map((type) => ({ name, type })))
  const { rows } = await sql<{ name: string }>`
    select s.name from event_subscriptions s
    where s.name = any(${subscriptions.map(({ name }) => name)}::text[]) and (
      exists (
        select from unnest(${followed.map(({ name }) => name)}::text[], ${followed.map(({ type }) => type)}::text[])
          as t (name, type),
          lateral (select from ${eventsAfter(sql`t.type`, sql`s.cursor`)} limit 1) e
        where t.name = s.name
      ) or exists (
        select from event_failures f
        where f.subscription = s.name and f.stuck_at is null and f.retry_at <= ${now} and not exists (
          select from event_failures b
          where b.subscription = s.name and b.enrollment_id = f.enrollment_id and b.event_id < f.event_id
            and b.stuck_at is null and b.retry_at > ${now})
      ))`.execute(db)
  return new Set(rows.map(({ name }) => name))
}

/** Writes down how far a subscription is; false when another worker has taken it. */
export async function advance(db: Queries, name: string, worker: string, cursor: number): Promise<boolean> {
  const result = await sql`
    update event_subscriptions set cursor = ${cursor} where name = ${name} and worker = ${worker}`.execute(db)
  return result.numAffectedRows === 1n
}

/** The next events of these types. */
export async function nextEvents(
  db: Queries,
  query: { after: number; types: readonly EventType[]; limit: number },
): Promise<PublishedEvent[]> {
  const { after, types, limit } = query
  const { rows: events } = await sql<PublishedEvent>`
    select e.* from unnest(${[...types]}::text[]) as t (type), lateral (
      select * from ${eventsAfter(sql`t.type`, sql`${after}::bigint`)} order by e.type, e.id limit ${limit}
    ) e order by e.id limit ${limit}`.execute(db)
  return events
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

/** How many events of these types a subscription has still to see, and how many it has set aside. */
export async function stateOf(
  db: Queries,
  { name, types }: { name: string; types: readonly EventType[] },
): Promise<{ behind: number; stuck: number }> {
  const { rows } = await sql<{ behind: number; stuck: number }>`
    select (
      select count(*) from unnest(${[...types]}::text[]) as t (type), lateral (
        select from ${eventsAfter(sql`t.type`, sql`s.cursor`)}) e
    ) as behind, (
      select count(*) from event_failures f where f.subscription = s.name and f.stuck_at is not null
    ) as stuck
    from event_subscriptions s where s.name = ${name}`.execute(db)
  return rows[0] ?? { behind: 0, stuck: 0 }
}
