import { parseRecord } from '../../kernel/records.ts'
import { CONFIG_ERRORS, CONNECTION_ENDS, TOKEN_BAD } from './reasons.ts'

/** What an answer of Apple, or the lack of one, means for the sender. */
export type ApnsOutcome =
  /** Apple took it, which does not say that the device got it. */
  | { action: 'accepted'; apnsId: string }
  /** The token is no longer valid for the topic since `since`; a newer TokenUpdate overrules that. */
  | { action: 'gone'; reason: string; since: Date | null }
  /** The token is not one for this topic or environment: useless until the next TokenUpdate. */
  | { action: 'token_bad'; reason: string }
  /** Worth another try, first after `afterMs`; later ones should wait longer. */
  | { action: 'retry'; reason: string; afterMs: number }
  /** The certificate or its topic is refused: no push with it will pass. */
  | { action: 'config_error'; reason: string }
  /** The request itself is wrong; the same again would be refused again. */
  | { action: 'bug'; reason: string }

/** Apple asks for patience after its own failures, and for more with a token that had too many pushes. */
const AFTER_SERVER_ERROR_MS = 60_000
const AFTER_TOO_MANY_MS = 5 * 60_000
const AT_ONCE_MS = 1_000
/** An answer is read no further; a longer one says nothing. */
export const MAX_ANSWER_CHARS = 4096
const REASON = /^[A-Za-z][A-Za-z0-9]{0,63}$/

/**
 * Reads an answer (Apple: "Handling notification responses from APNs"). Reasons that are not known count by the class
 * of their status.
 */
export function readApnsAnswer(status: number, apnsId: string | undefined, body: string): ApnsOutcome {
  if (status === 200) return { action: 'accepted', apnsId: apnsId ?? '' }
  const answer = parseBody(body)
  const reason = answer.reason ?? `Status${status}`
  if (status === 410) return { action: 'gone', reason, since: answer.timestamp }
  if (TOKEN_BAD.has(reason)) return { action: 'token_bad', reason }
  if (CONNECTION_ENDS.has(reason)) return { action: 'retry', reason, afterMs: AT_ONCE_MS }
  if (CONFIG_ERRORS.has(reason) || status === 403) return { action: 'config_error', reason }
  if (status === 429) return { action: 'retry', reason, afterMs: AFTER_TOO_MANY_MS }
  if (status >= 500) return { action: 'retry', reason, afterMs: AFTER_SERVER_ERROR_MS }
  return { action: 'bug', reason }
}

/** Whether Apple said with this answer that the connection is of no further use. */
export function endsConnection(outcome: ApnsOutcome): boolean {
  return outcome.action === 'retry' && CONNECTION_ENDS.has(outcome.reason)
}

function parseBody(body: string): { reason: string | undefined; timestamp: Date | null } {
  const answer = body.length > MAX_ANSWER_CHARS ? undefined : parseRecord(body)
  const { reason, timestamp } = answer ?? {}
  const isTime = typeof timestamp === 'number' && timestamp > 0 && timestamp < 8.64e15
  return {
    reason: typeof reason === 'string' && REASON.test(reason) ? reason : undefined,
    timestamp: isTime ? new Date(timestamp) : null,
  }
}
