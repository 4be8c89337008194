import type { Clock } from '../../../kernel/clock.ts'
import { after, isGone, type Before } from './schedule.ts'
import type { Sending } from './sending.ts'
import type { Outgoing } from './sources.ts'
import type { Outcome } from './store.ts'

/** Requests to one receiver at a time, for as many devices. */
const WIDTH = 16
/** After so many requests without any answer the receiver is taken to be away. */
const AWAY_AFTER = 8

/** An event to be sent; null when it is kept no more. */
export interface Item extends Before {
  outgoing: Outgoing | null
  event_id: number
  lane: string | null
}

/** What became of a batch. */
export interface Sent {
  outcomes: Outcome[]
  /** Not sent: one before it in its lane failed, or the receiver is away. */
  unsent: Item[]
  /** How often there was an answer, and how often none. */
  answered: number
  unreachable: number
  /** The receiver said that it is there no more. */
  isGone: boolean
}

/** Sends events, those of a lane one after the other; undefined when the server stops meanwhile. */
export async function sendBatch(
  deps: { sending: Pick<Sending, 'send'>; clock: Clock },
  to: { url: string; secrets: readonly string[] },
  items: readonly Item[],
): Promise<Sent | undefined> {
  const sent: Sent = { outcomes: [], unsent: [], answered: 0, unreachable: 0, isGone: false }
  const lanes = [...Map.groupBy(items, ({ lane }) => lane).values()]
  let isStopped = false

  const isOver = () => sent.isGone || isStopped || (sent.answered === 0 && sent.unreachable >= AWAY_AFTER)

  async function sendLane(lane: readonly Item[]): Promise<void> {
    let isBlocked = false
    for (const item of lane) {
      if (isBlocked || isOver()) sent.unsent.push(item)
      else isBlocked = (await sendOne(item)) && item.lane !== null
    }
  }

  /** Whether it failed, so that others of its lane wait. */
  async function sendOne(item: Item): Promise<boolean> {
    const { outgoing, event_id, lane } = item
    if (outgoing === null) {
      sent.outcomes.push(lost(item, deps.clock.now()))
      return false
    }
    const attempt = await deps.sending.send({ ...to, ...outgoing })
    if (attempt === undefined) {
      isStopped = true
      return true
    }
    sent[attempt.status === null ? 'unreachable' : 'answered'] += 1
    sent.isGone ||= isGone(attempt)
    const outcome = { event_id, lane, ...after(attempt, item) }
    sent.outcomes.push(outcome)
    return outcome.state === 'failed'
  }

  async function takeLanes(): Promise<void> {
    for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) await sendLane(lane)
  }

  await Promise.all(Array.from({ length: WIDTH }, takeLanes))
  return isStopped ? undefined : sent
}

function lost({ event_id, lane, tries, first_try_at, refused_since }: Item, now: Date): Outcome {
  return {
    ...{
      event_id,
      lane,
      state: 'dead',
      tries,
      first_try_at,
      refused_since,
      last_try_at: now,
      retry_at: null,
    },
    ...{ status: null, duration_ms: null, answer_bytes: null, error: 'The event is kept no more.' },
  }
}
