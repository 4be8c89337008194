import type { Db, Leases } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { EventType } from './catalogue.ts'
import type { Events } from './events.ts'
import * as store from './subscriptions-store.ts'
import type { PublishedEvent } from './types.ts'

/** Events read at a time. */
const BATCH = 200
/** After so many tries an event is set aside. */
const MAX_TRIES = 10
/** The pause after the first failure; it doubles with each. */
const FIRST_PAUSE_SECONDS = 1
const MAX_ERROR_LENGTH = 500

/** Who wants to know of which events, and does what follows from them. */
export interface Subscription {
  name: string
  types: readonly EventType[]
  handle: (events: readonly PublishedEvent[]) => Promise<void>
}

interface FollowDeps {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  worker: string
  leases: Leases<'event_subscriptions'>
}

/** The devices whose events wait for one that could not be handled yet. */
type Blocked = Set<string>

/** Has a subscription handle what has come since, unless another process is at it. */
export async function follow(deps: FollowDeps, subscription: Subscription): Promise<void> {
  const { leases } = deps
  await leases.hold(subscription.name, ({ cursor }) => followFrom(deps, subscription, cursor))
}

async function followFrom(deps: FollowDeps, subscription: Subscription, from: number): Promise<void> {
  const { kysely } = deps.db
  const { name, types } = subscription
  const blocked = await tryAgain(deps, subscription)
  for (let cursor = from; ;) {
    const batch = await store.nextEvents(kysely, { after: cursor, types, limit: BATCH })
    await take(deps, subscription, batch, blocked)
    cursor = batch.at(-1)?.id ?? cursor
    if (!(await store.advance(kysely, name, deps.worker, cursor)) || batch.length < BATCH) return
  }
}

/** Handles what failed before and is due; gives the devices whose events must wait on. */
async function tryAgain(deps: FollowDeps, subscription: Subscription): Promise<Blocked> {
  const { db, clock } = deps
  const blocked: Blocked = new Set()
  for (const failure of await store.waitingFailures(db.kysely, subscription.name)) {
    const { enrollment_id: id, event_id: eventId } = failure
    const waits = failure.retry_at > clock.now() || (id !== null && blocked.has(id))
    const outcome = waits ? 'waits' : await again(deps, subscription, failure)
    if (outcome === 'done') await store.deleteFailure(db.kysely, subscription.name, eventId)
    if (outcome === 'waits' && id !== null) blocked.add(id)
  }
  return blocked
}

async function again(
  deps: FollowDeps,
  subscription: Subscription,
  { event_id: eventId, tries }: store.Failure,
): Promise<'done' | 'waits' | 'stuck'> {
  const event = await store.findEvent(deps.db.kysely, eventId)
  if (event === undefined || (await handle(deps, subscription, event, tries))) return 'done'
  return tries + 1 < MAX_TRIES ? 'waits' : 'stuck'
}

/** Handles a page of events together. When that fails each is handled by itself, which shows the one that is the matter. */
async function take(
  deps: FollowDeps,
  subscription: Subscription,
  events: readonly PublishedEvent[],
  blocked: Blocked,
): Promise<void> {
  const isFree = ({ enrollment_id: id }: PublishedEvent) => id === null || !blocked.has(id)
  if (events.length > 1 && events.every(isFree)) {
    const isDone = await subscription.handle(events).then(
      () => true,
      () => false,
    )
    if (isDone) return
  }
  for (const event of events) {
    const { enrollment_id: id } = event
    if (!isFree(event)) {
      const waits = { ...failureOf(deps, subscription, event), tries: 0, error: null }
      await store.saveFailure(deps.db.kysely, waits)
    } else if (!(await handle(deps, subscription, event, 0)) && id !== null) blocked.add(id)
  }
}

/** Handles an event by itself, and writes down when that fails. */
async function handle(
  deps: FollowDeps,
  subscription: Subscription,
  event: PublishedEvent,
  before: number,
): Promise<boolean> {
  try {
    await subscription.handle([event])
    return true
  } catch (error) {
    await fail(deps, subscription, event, { tries: before + 1, thrown: error })
    return false
  }
}

async function fail(
  deps: FollowDeps,
  subscription: Subscription,
  event: PublishedEvent,
  { tries, thrown }: { tries: number; thrown: unknown },
): Promise<void> {
  const { db, clock, log, events } = deps
  const { name } = subscription
  const error = (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, MAX_ERROR_LENGTH)
  log.warn(
    { event: 'subscription.failed', subscription: name, event_id: event.id, tries, err: thrown },
    error,
  )
  const isStuck = tries >= MAX_TRIES
  const retry_at = addTime(clock.now(), FIRST_PAUSE_SECONDS * 2 ** (tries - 1), 'second')
  await db.transaction(async (trx) => {
    const failure = { ...failureOf(deps, subscription, event), tries, error, retry_at }
    await store.saveFailure(trx, { ...failure, stuck_at: isStuck ? clock.now() : null })
    if (isStuck)
      await events.emit(trx, {
        type: 'subscription.stuck',
        enrollment_id: event.enrollment_id,
        serial_number: event.serial_number,
        data: { subscription: name, event_id: String(event.id), event_type: event.type, error },
      })
  })
}

function failureOf({ clock }: FollowDeps, subscription: Subscription, event: PublishedEvent) {
  const { id: event_id, enrollment_id } = event
  return { subscription: subscription.name, event_id, enrollment_id, retry_at: clock.now(), stuck_at: null }
}
