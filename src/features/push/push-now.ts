import type { Db } from '../../db/index.ts'
import { inTime, type Clock } from '../../kernel/clock.ts'
import type { Devices } from '../devices/index.ts'
import type { Sender } from './sender.ts'
import * as store from './store.ts'
import { hasToken, isReachable, type Verdict } from './verdict.ts'

const LONGEST_ANSWER_MS = 10_000
/** A device that is refused waits so long for what Apple says of the one whose place it wants. */
const LONGEST_ASK_MS = 2_000
/** Said of an id that nobody has, or that has not sent its token; in NanoMDM's words. */
export const NO_PUSH_DATA = 'push data missing for id'

const NO_ANSWER_YET: PushNowResult = { error: 'no answer yet, the push goes on by itself' }

/** What came of a push that someone waited for: Apple's id (`result`), or in words why there is none (`error`). */
export interface PushNowResult {
  result?: string
  error?: string
}

interface PushNowDeps {
  db: Db
  clock: Clock
  devices: Pick<Devices, 'pushTargets'>
  sender: Sender
}

/**
 * Asks Apple whether a device is still there, by a push that goes out at once whatever Apple said before; 2 seconds later at most
 * the answer is awaited no more. What Apple says is written down with the enrollment.
 */
export async function ask(deps: PushNowDeps, id: string): Promise<void> {
  await pushNow(deps, [id], { evenIfGone: true, longestMs: LONGEST_ASK_MS })
}

/**
 * Sends to these enrollments at once and waits for Apple's answers, 10 seconds at most; then, and when Apple wants it
 * later, the push goes on by itself.
 */
export async function pushNow(
  deps: PushNowDeps,
  ids: readonly string[],
  { evenIfGone = false, longestMs = LONGEST_ANSWER_MS } = {},
): Promise<Map<string, PushNowResult>> {
  const { db, clock, devices, sender } = deps
  const unique = [...new Set(ids)]
  const targets = (await devices.pushTargets(unique)).filter(evenIfGone ? hasToken : isReachable)
  const reachable = new Set(targets.map(({ id }) => id))
  const sending = new Map<string, Promise<Verdict>>()
  const started = await sender.claimAndSend(
    async () => {
      for (const [id, verdict] of sender.inFlight) if (reachable.has(id)) sending.set(id, verdict)
      const rest = [...reachable].filter((id) => !sending.has(id))
      return rest.length === 0 ? [] : store.claimNow(db.kysely, rest, clock.now())
    },
    { evenIfGone },
  )
  for (const [id, verdict] of started) sending.set(id, verdict)
  const answers = unique.map(async (id): Promise<[string, PushNowResult]> => {
    const verdict = sending.get(id)
    if (verdict === undefined) return [id, { error: NO_PUSH_DATA }]
    return [id, await inTime(clock, longestMs, verdict.then(toResult), NO_ANSWER_YET)]
  })
  return new Map(await Promise.all(answers))
}

function toResult({ apnsId, result, settlement }: Verdict): PushNowResult {
  if (apnsId !== undefined) return { result: apnsId }
  if (settlement.becomes === 'held') return { error: `the push certificate cannot be used: ${result}` }
  if (settlement.becomes === 'retried') return { error: `${result}, the push is tried again` }
  return { error: result }
}
