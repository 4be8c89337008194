import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Devices } from '../devices/index.ts'
import { leaseEnd } from './loop.ts'
import type { Sender } from './sender.ts'
import * as store from './store.ts'
import { isReachable, type Verdict } from './verdict.ts'

const LONGEST_WAIT_MS = 10_000

/** What came of a push that someone waited for: Apple's id (`result`), or in words why there is none (`error`). */
export interface PushNowResult {
  result?: string
  error?: string
}

/**
 * Sends to these enrollments at once and waits for Apple's answers, 10 seconds at most; then, and when Apple wants it
 * later, the push goes on by itself.
 */
export async function pushNow(
  deps: { db: Db; clock: Clock; devices: Pick<Devices, 'pushTargets'>; sender: Sender },
  ids: readonly string[],
): Promise<Map<string, PushNowResult>> {
  const { db, clock, devices, sender } = deps
  const unique = [...new Set(ids)]
  const reachable = new Set((await devices.pushTargets(unique)).filter(isReachable).map(({ id }) => id))
  const sending = new Map<string, Promise<Verdict>>()
  const started = await sender.claimAndSend(async () => {
    for (const [id, verdict] of sender.inFlight) if (reachable.has(id)) sending.set(id, verdict)
    const rest = [...reachable].filter((id) => !sending.has(id))
    const now = clock.now()
    return rest.length === 0 ? [] : store.claimNow(db.kysely, rest, now, leaseEnd(now))
  })
  for (const [id, verdict] of started) sending.set(id, verdict)
  const answers = unique.map(async (id): Promise<[string, PushNowResult]> => {
    const verdict = sending.get(id)
    if (verdict === undefined) return [id, { error: 'push data missing for id' }]
    return [id, await inTime(verdict, clock)]
  })
  return new Map(await Promise.all(answers))
}

async function inTime(verdict: Promise<Verdict>, clock: Clock): Promise<PushNowResult> {
  const waiting = Promise.withResolvers<PushNowResult>()
  const stop = clock.after(LONGEST_WAIT_MS, () =>
    waiting.resolve({ error: 'no answer yet, the push goes on by itself' }),
  )
  try {
    return await Promise.race([verdict.then(toResult), waiting.promise])
  } finally {
    stop()
  }
}

function toResult({ apnsId, result, settlement }: Verdict): PushNowResult {
  if (apnsId !== undefined) return { result: apnsId }
  if (settlement.becomes === 'held') return { error: `the push certificate cannot be used: ${result}` }
  if (settlement.becomes === 'retried') return { error: `${result}, the push is tried again` }
  return { error: result }
}
