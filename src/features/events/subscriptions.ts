import type { Db } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { newSecret } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { EventType } from './catalogue.ts'
import type { Events } from './events.ts'
import * as store from './subscriptions-store.ts'
import type { PublishedEvent } from './types.ts'

/** Events read at a time. */
const BATCH = 200
/** A process that has died holds a subscription no longer than this. */
const LEASE_SECONDS = 60
/** After so many tries an event is set aside. */
const MAX_TRIES = 10
/** The pause after the first failure; it doubles with each. */
const FIRST_PAUSE_SECONDS = 1
const MAX_ERROR_LENGTH = 500
const WORKER_NAME_BYTES = 12

/** Does what follows from an event. It is called at least once for each, so a second time must change nothing. */
type Handler = (event: PublishedEvent) => Promise<void>

interface Subscription {
  name: string
  types: readonly EventType[]
  handle: Handler
}

/** What inside the server reacts to facts, where the slice that makes the fact may not know of the one that reacts. */
export type Subscriptions = ReturnType<typeof createSubscriptions>

/**
 * Makes it. Events are handled in their order, those of one device always; by one process at a time. One that cannot be handled
 * is tried again with growing pauses, while later ones of its device wait and those of others go on; after ten tries it is set
 * aside and told (`subscription.stuck`), and the device's later ones go on too.
 */
export function createSubscriptions(deps: { db: Db; clock: Clock; log: Log; events: Pick<Events, 'emit'> }) {
  const { db, clock, log, events } = deps
  const worker = newSecret(WORKER_NAME_BYTES)
  const known: Subscription[] = []
  let running: Promise<void> | undefined

  async function follow(subscription: Subscription): Promise<void> {
    const { name, types } = subscription
    if (!(await store.hasWork(db.kysely, subscription, clock.now()))) return
    const until = () => addTime(clock.now(), LEASE_SECONDS, 'second')
    const from = await store.lease(db.kysely, name, { worker, now: clock.now(), until: until() })
    if (from === undefined) return
    let cursor = from
    const blocked = await tryAgain(subscription)
    for (;;) {
      const batch = await store.nextEvents(db.kysely, { after: cursor, types, limit: BATCH })
      for (const event of batch) await take(subscription, event, blocked)
      cursor = batch.at(-1)?.id ?? cursor
      const isLast = batch.length < BATCH
      const isHeld = await store.advance(db.kysely, name, { worker, cursor, until: isLast ? null : until() })
      if (isLast || !isHeld) return
    }
  }

  /** Handles what failed before and is due; gives the devices whose events must wait on. */
  async function tryAgain(subscription: Subscription): Promise<Set<string>> {
    const blocked = new Set<string>()
    for (const failure of await store.waitingFailures(db.kysely, subscription.name)) {
      const { enrollment_id: id, event_id: eventId } = failure
      const waits = failure.retry_at > clock.now() || (id !== null && blocked.has(id))
      const outcome = waits ? 'waits' : await again(subscription, failure)
      if (outcome === 'done') await store.deleteFailure(db.kysely, subscription.name, eventId)
      if (outcome === 'waits' && id !== null) blocked.add(id)
    }
    return blocked
  }

  async function again(
    subscription: Subscription,
    { event_id: eventId, tries }: store.Failure,
  ): Promise<'done' | 'waits' | 'stuck'> {
    const event = await store.findEvent(db.kysely, eventId)
    if (event === undefined || (await attempt(subscription, event, tries))) return 'done'
    return tries + 1 < MAX_TRIES ? 'waits' : 'stuck'
  }

  async function take(
    subscription: Subscription,
    event: PublishedEvent,
    blocked: Set<string>,
  ): Promise<void> {
    const { enrollment_id: id } = event
    if (id !== null && blocked.has(id))
      return store.saveFailure(db.kysely, { ...failureOf(subscription, event), tries: 0, error: null })
    if (!(await attempt(subscription, event, 0)) && id !== null) blocked.add(id)
  }

  /** Handles an event, and writes down when that fails. */
  async function attempt(
    subscription: Subscription,
    event: PublishedEvent,
    before: number,
  ): Promise<boolean> {
    try {
      await subscription.handle(event)
      return true
    } catch (error) {
      await fail(subscription, event, before + 1, error)
      return false
    }
  }

  async function fail(
    subscription: Subscription,
    event: PublishedEvent,
    tries: number,
    thrown: unknown,
  ): Promise<void> {
    const { name } = subscription
    const error = (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, MAX_ERROR_LENGTH)
    log.warn(
      { event: 'subscription.failed', subscription: name, event_id: event.id, tries, err: thrown },
      error,
    )
    const now = clock.now()
    const isStuck = tries >= MAX_TRIES
    const retry_at = addTime(now, FIRST_PAUSE_SECONDS * 2 ** (tries - 1), 'second')
    await db.transaction(async (trx) => {
      const failure = { ...failureOf(subscription, event), tries, error, retry_at }
      await store.saveFailure(trx, { ...failure, stuck_at: isStuck ? now : null })
      if (isStuck)
        await events.emit(trx, {
          type: 'subscription.stuck',
          enrollment_id: event.enrollment_id,
          serial_number: event.serial_number,
          data: { subscription: name, event_id: String(event.id), event_type: event.type, error },
        })
    })
  }

  function failureOf(subscription: Subscription, event: PublishedEvent) {
    const { id: event_id, enrollment_id } = event
    return { subscription: subscription.name, event_id, enrollment_id, retry_at: clock.now(), stuck_at: null }
  }

  async function followAll(): Promise<void> {
    for (const subscription of known) await follow(subscription)
  }

  return {
    /** Has `handle` called for every event of these types from now on, in whichever process; `name` is for ever. */
    async subscribe(name: string, types: readonly EventType[], handle: Handler): Promise<void> {
      await store.ensureSubscription(db.kysely, name)
      known.push({ name, types, handle })
    },
    /** Job: handles what was published; runs one at a time. */
    run: (): Promise<void> => (running ??= followAll().finally(() => (running = undefined))),
    /** Has an event that was set aside handled again; false when there is none. */
    replay: (name: string, eventId: number): Promise<boolean> =>
      store.replay(db.kysely, name, eventId, clock.now()),
    /** How many events each has still to see, and how many it has set aside. */
    states: () =>
      Promise.all(
        known.map(async (subscription) => {
          const { name } = subscription
          return { name, ...(await store.stateOf(db.kysely, subscription)) }
        }),
      ),
  }
}
