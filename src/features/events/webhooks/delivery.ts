import { createLeases, type Db } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { newSecret } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import { createPassLoop } from '../../../kernel/pass-loop.ts'
import type { Events } from '../events.ts'
import { createRound } from './round.ts'
import type { DeviceMessages } from './device-messages.ts'
import type { Sending } from './sending.ts'
import type { Sources } from './sources.ts'
import type { Webhooks } from './webhooks.ts'
import { withWork } from './work-store.ts'

const DEBOUNCE_MS = 20
const WORKER_NAME_BYTES = 12

/**
 * Sends events to webhooks, each by one process at a time and by itself, so that none waits for another. At least once; what a device
 * does in order. One that cannot be reached at all is asked with one event at a time, with growing pauses.
 */
export function createWebhookDelivery(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit' | 'onPublished'>
  webhooks: Pick<Webhooks, 'secretsOf'>
  sending: Sending
  sources: Sources
  messages: Pick<DeviceMessages, 'look'>
}) {
  const { db, clock, log, events, sending } = deps
  const worker = newSecret(WORKER_NAME_BYTES)
  const round = createRound({ ...deps, worker })
  const leases = createLeases(deps, { table: 'webhooks', worker })
  const busy = new Map<string, Promise<void>>()
  const passes = createPassLoop({ clock, debounceMs: DEBOUNCE_MS, pass: look, onFailure: noteFailure })
  let isClosed = false
  events.onPublished([], passes.wake)

  function noteFailure(error: unknown): void {
    log.error({ event: 'webhook.pass_failed', err: error }, 'webhooks could not be seen to')
  }

  async function look(): Promise<void> {
    await deps.messages.look()
    for (const id of await withWork(db.kysely, clock.now())) {
      if (busy.has(id) || isClosed) continue
      busy.set(
        id,
        work(id)
          .catch(noteFailure)
          .finally(() => busy.delete(id)),
      )
    }
  }

  /** Sends a webhook what there is for it, unless another process is at it. */
  async function work(id: string): Promise<void> {
    await leases.hold(id, async () => {
      while (!isClosed && (await round(id)));
    })
  }

  return {
    /** Job: sends what is due, and what has come. */
    run: passes.run,
    /** Resolves when nothing is being sent. */
    async idle(): Promise<void> {
      await Promise.all(busy.values())
    },
    /** Gives up what is under way; it will be sent again. */
    async close(): Promise<void> {
      isClosed = true
      sending.close()
      await passes.close()
      await Promise.all(busy.values())
    },
  }
}
