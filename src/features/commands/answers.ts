import type { Db, Tx } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { createPassLoop } from '../../kernel/pass-loop.ts'
import * as store from './answers-store.ts'

/** Answers of the same moment are taken in together. */
const DEBOUNCE_MS = 100
/** Answers that are taken in with one transaction: of one device the newest counts; the embedded database has one connection. */
const BATCH = { postgres: 1_000, embedded: 200 } as const
/** Of the time, all but a twentieth is left to the devices. */
const REST = 19
/** The pause after an answer that could not be taken in doubles with each try. */
const FIRST_PAUSE_SECONDS = 2
const LONGEST_PAUSE_SECONDS = 3_600

/** Takes in answers of a topic, in the transaction that removes them: all of it, or none. */
type Handle = (trx: Tx, answers: readonly store.Answer[]) => Promise<void>

/**
 * The end of a command with the purpose `delivery` or `act`, and an answer that brings inventory, is written down by the statement
 * that ends the command. Here it is given to who follows its topic: each exactly once, many together, in their order unless one has
 * failed. One that cannot be taken in is tried again with growing pauses and holds up no other.
 */
export function createAnswers(deps: { db: Db; clock: Clock; log: Log }) {
  const { clock, log } = deps
  const handlers = new Map<store.Answer['topic'], Handle>()
  const passes = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    rest: REST,
    async pass() {
      const topics = await store.topicsOf(deps.db.kysely, [...handlers.keys()], clock.now())
      for (const [topic, handle] of handlers)
        if (topics.has(topic)) while (await takeSome(deps, topic, handle));
    },
    onFailure: (error) =>
      log.error({ event: 'answers.pass_failed', err: error }, 'answers of devices could not be taken in'),
  })

  return {
    /** Has the answers of a topic taken in by `handle`, in whichever process. */
    follow(topic: store.Answer['topic'], handle: Handle): void {
      handlers.set(topic, handle)
    },
    /** Takes one answer in at once, whose device is to hear of nothing else before; one that cannot be is tried again as any other. */
    async takeNow(of: Parameters<typeof store.takeAnswerTo>[1]): Promise<void> {
      const handle = handlers.get(of.topic)
      if (handle === undefined) return
      try {
        await deps.db.transaction(async (trx) => {
          const answer = await store.takeAnswerTo(trx, of)
          if (answer !== undefined) await handle(trx, [answer])
        })
      } catch (error) {
        log.warn({ event: 'answers.not_now', ...of, err: error }, 'an answer is taken in later')
      }
    },
    /** An answer was written down: it is taken in soon. */
    wake: passes.wake,
    /** Job: takes in what there is. */
    run: passes.run,
    close: passes.close,
  }
}

/** Takes in one batch; true when there may be more. */
async function takeSome(
  deps: { db: Db; clock: Clock; log: Log },
  topic: store.Answer['topic'],
  handle: Handle,
): Promise<boolean> {
  const { db, clock } = deps
  let taken: readonly store.Answer[] = []
  try {
    await db.transaction(async (trx) => {
      taken = await store.takeAnswers(trx, topic, { now: clock.now(), limit: BATCH[db.kind] })
      if (taken.length > 0) await handle(trx, taken)
    })
  } catch (error) {
    if (taken.length === 0) throw error
    for (const answer of taken) await takeAlone(deps, answer, handle)
  }
  return taken.length === BATCH[db.kind]
}

async function takeAlone(
  { db, clock, log }: { db: Db; clock: Clock; log: Log },
  waiting: store.Answer,
  handle: Handle,
): Promise<void> {
  const { enrollment_id, command_uuid, tries } = waiting
  try {
    await db.transaction(async (trx) => {
      const answer = await store.takeAnswer(trx, waiting)
      if (answer !== undefined) await handle(trx, [answer])
    })
  } catch (error) {
    log.warn(
      { event: 'answers.failed', enrollment_id, command_uuid, tries: tries + 1, err: error },
      'the answer of a device could not be taken in; it is tried again',
    )
    const pause = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(tries, 20))
    await db.transaction((trx) => store.putOff(trx, waiting, addTime(clock.now(), pause, 'second')))
  }
}
