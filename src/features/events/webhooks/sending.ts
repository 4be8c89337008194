import { type Clock } from '../../../kernel/clock.ts'
import { createHttpClient, type UpstreamAnswer } from '../../../kernel/http-client.ts'
import type { AddressCheck } from '../../../kernel/public-address.ts'
import type { Attempt } from './schedule.ts'
import type { Outgoing } from './sources.ts'

/** From the look-up of the name to the end of the answer. */
const TIMEOUT_MS = 15_000
/** Most of an answer that is read; nothing but its size is kept. */
const ANSWER_BYTES = 64 * 1024

/** One message to one receiver. */
interface Message extends Outgoing {
  url: string
  secrets: readonly string[]
}

/** The way to receivers. */
export type Sending = ReturnType<typeof createSending>

/** Sends webhooks. The address is judged at each call, the one that its name has then; redirects are failures. */
export function createSending(deps: { clock: Clock; userAgent: string; addresses: AddressCheck }) {
  const { clock, addresses } = deps
  const stopped = new AbortController()
  const client = createHttpClient({
    ...{ timeoutMs: TIMEOUT_MS, maxBytes: ANSWER_BYTES, takesPart: true },
    ...{ lookup: addresses.lookup, userAgent: deps.userAgent, clock },
  })

  return {
    /** What the receiver does with it; undefined when the server stops before that is known. */
    async send({ url, body, sign, secrets }: Message): Promise<Attempt | undefined> {
      const at = clock.now()
      const began = performance.now()
      const about = (status: number | null, answer_bytes: number, error: string | null): Attempt => ({
        ...{ at, status, answer_bytes, error },
        duration_ms: Math.round(performance.now() - began),
      })
      try {
        addresses.checkText(url)
        const headers = {
          'content-type': 'application/json; charset=utf-8',
          ...sign(secrets, at),
        }
        const answer = await client.request({ method: 'POST', url, headers, body, signal: stopped.signal })
        return about(answer.status, answer.body.length, faultOf(answer))
      } catch (error) {
        if (stopped.signal.aborted) return undefined
        return about(null, 0, error instanceof Error ? error.message : String(error))
      }
    },
    /** Gives up what is under way. */
    close(): void {
      stopped.abort()
      client.close()
    },
  }
}

function faultOf({ status }: UpstreamAnswer): string | null {
  if (status >= 200 && status < 300) return null
  if (status >= 300 && status < 400)
    return `It was answered with a redirect (${status}), which is not followed.`
  return `It was answered with ${status}.`
}
