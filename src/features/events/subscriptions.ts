import { createLeases, type Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { newSecret } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import type { EventType } from './catalogue.ts'
import type { Events } from './events.ts'
import { follow, type Subscription } from './follow.ts'
import * as store from './subscriptions-store.ts'

/** What was published in the same moment is handled together. */
const DEBOUNCE_MS = 20
const WORKER_NAME_BYTES = 12

/** What inside the server reacts to facts, where the slice that makes the fact may not know of the one that reacts. */
export type Subscriptions = ReturnType<typeof createSubscriptions>

/**
 * Subscriptions are followed when they are woken, and when the job table says. Events are handled in their order, those of one
 * device always; by one process at a time. One that cannot be handled is tried again with growing pauses, while later ones of its
 * device wait and those of others go on; after ten tries it is set aside and told (`subscription.stuck`), and the device's later
 * ones go on too.
 */
export function createSubscriptions(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit' | 'onPublished'>
}) {
  const { db, clock, log, events } = deps
  const worker = newSecret(WORKER_NAME_BYTES)
  const leases = createLeases(deps, {
    table: 'event_subscriptions',
    worker,
    key: 'name',
    until: 'leased_until',
  })
  const known: Subscription[] = []
  const passes = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    async pass() {
      const busy = await store.withWork(db.kysely, known, clock.now())
      for (const subscription of known)
        if (busy.has(subscription.name)) await follow({ ...deps, worker, leases }, subscription)
    },
    onFailure: (error) =>
      log.error({ event: 'subscription.pass_failed', err: error }, 'events could not be followed'),
  })

  return {
    /**
     * Has `handle` called for every event of these types from now on, in whichever process; `name` is for ever. Some come together,
     * and each at least once, so a second time must change nothing.
     */
    async subscribe(
      name: string,
      types: readonly EventType[],
      handle: Subscription['handle'],
    ): Promise<void> {
      await store.ensureSubscription(db.kysely, name)
      known.push({ name, types, handle })
      events.onPublished(types, passes.wake)
    },
    /** Job: handles what was published. */
    run: passes.run,
    close: passes.close,
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
