import type { FastifyReply } from 'fastify'
import type { Operator } from '../features/operators/index.ts'
import type { Clock } from '../kernel/clock.ts'
import { AppError } from '../kernel/errors.ts'

/** So many seconds' worth of calls may come at once. */
const BURST_SECONDS = 20
/** Tokens of which this much is remembered; those that have not called for long are forgotten first. */
const MOST_TOKENS = 10_000

/** Bounds the calls of each token. */
export type RateLimit = ReturnType<typeof createRateLimit>

/**
 * A bucket for each token, of 20 seconds' worth of calls, filled at `perSecond`; each process has its own. What is left is told with
 * every answer (draft-ietf-httpapi-ratelimit-headers-11).
 */
export function createRateLimit(deps: { clock: Clock; perSecond: () => Promise<number> }) {
  const { clock } = deps
  const buckets = new Map<string, { calls: number; at: number }>()

  /** Takes one call of the token's. Throws AppError `too_many_calls` when there is none left. */
  return async function take(operator: Operator, reply: FastifyReply): Promise<void> {
    const perSecond = await deps.perSecond()
    const size = perSecond * BURST_SECONDS
    const now = clock.now().getTime()
    const known = buckets.get(operator.id) ?? { calls: size, at: now }
    const filled = (Math.max(0, now - known.at) / 1000) * perSecond
    const calls = Math.min(size, known.calls + filled)
    const left = calls >= 1 ? calls - 1 : calls
    buckets.delete(operator.id)
    const [oldest] = buckets.keys()
    if (buckets.size >= MOST_TOKENS && oldest !== undefined) buckets.delete(oldest)
    buckets.set(operator.id, { calls: left, at: now })
    const untilFull = Math.ceil((size - left) / perSecond)
    reply.headers({
      'ratelimit-policy': `"token";q=${size};w=${BURST_SECONDS}`,
      ratelimit: `"token";r=${Math.floor(left)};t=${untilFull}`,
    })
    if (calls >= 1) return
    reply.header('retry-after', Math.max(1, Math.ceil((1 - calls) / perSecond)))
    throw new AppError('too_many_calls')
  }
}
