import type { Db } from '../../db/index.ts'
import { inTime, type Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import type { Sender } from './sender.ts'
import * as store from './store.ts'
import type { Topics } from './topics.ts'

/** Requests of the same moment go out together. */
const DEBOUNCE_MS = 10
const CLAIM_BATCH = 500
const MAX_IN_FLIGHT = 1_000
const SHORTEST_SLEEP_MS = 50
const LONGEST_SLEEP_MS = 60_000
/** A slow answer must not keep the job from looking for what others have asked for. */
const LONGEST_RUN_MS = 2_000

/** Takes what is due to the sender: when woken, when the next need falls due, and when the job table says. */
export function createLoop(deps: { db: Db; clock: Clock; log: Log; topics: Topics; sender: Sender }) {
  const { db, clock, log, topics, sender } = deps
  const loop = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    pass: async () => {
      await sendDue()
      await sendProbes()
    },
    nextIn: untilNextDue,
    onFailure: (error) =>
      log.error({ event: 'push.pass_failed', err: error }, 'pushes that are due could not be taken'),
  })

  async function sendDue(): Promise<void> {
    for (;;) {
      const limit = Math.min(CLAIM_BATCH, MAX_IN_FLIGHT - sender.inFlight.size)
      if (limit <= 0 || loop.isClosed()) return
      const now = clock.now()
      const sending = await sender.claimAndSend(() => store.claimDue(db.kysely, now, limit))
      if (sending.size > 0) watch(sending)
      if (sending.size < limit) return
    }
  }

  /** Room that becomes free is used at once when there was not enough of it. */
  function watch(sending: Map<string, Promise<unknown>>): void {
    void Promise.race(sending.values()).then(() => {
      if (sender.inFlight.size >= MAX_IN_FLIGHT / 2) loop.wake()
    })
    void Promise.all(sending.values()).then(loop.wake)
  }

  async function sendProbes(): Promise<void> {
    await topics.keepFresh()
    for (const topic of topics.takeProbes()) {
      const now = clock.now()
      await sender.claimAndSend(() => store.claimHeld(db.kysely, topic.topic, now), { probe: topic })
    }
  }

  async function untilNextDue(): Promise<number | undefined> {
    const due = await store.nextDue(db.kysely)
    if (due === undefined) return undefined
    const ms = due.getTime() - clock.now().getTime()
    return Math.min(Math.max(ms, SHORTEST_SLEEP_MS), LONGEST_SLEEP_MS)
  }

  return {
    /** Soon looks for what is due. */
    wake: loop.wake,
    /**
     * Takes what is due and waits, but not for long, until it is sent and written down. Rejects when the database does
     * not answer.
     */
    async run(): Promise<void> {
      await loop.run()
      await inTime(clock, LONGEST_RUN_MS, sender.settled(), undefined)
    },
    /** Takes nothing more, and waits for what is under way. */
    async close(): Promise<void> {
      await loop.close()
      await sender.settled()
    },
  }
}
