import { addTime } from '../../kernel/clock.ts'
import type { ApnsOutcome } from '../../protocol/apns/index.ts'
import type { PushRecord, PushTarget } from '../devices/index.ts'
import type { NewEvent } from '../events/index.ts'
import type { Claim, Settlement } from './store.ts'

const SHORTEST_RETRY_MS = 500
const LONGEST_RETRY_MS = 60 * 60_000
/** A transport that fails, fails for everyone: devices should not wait an hour after it works again. */
const LONGEST_TRANSPORT_RETRY_MS = 5 * 60_000
const AFTER_OLD_NEWS_MS = 60_000
/** Apple's word, with status 410, for a token that no device has any more. */
const UNREGISTERED = 'Unregistered'
/** Answers of Apple's that ask for real patience. */
const PATIENT = /^(TooManyRequests|Status429|InternalServerError|Status5\d\d)$/

/** All that follows from one push, ready to be written down. */
export interface Verdict {
  settlement: Settlement
  /** For the channel; nothing when nothing was sent. */
  record?: PushRecord
  event?: NewEvent
  /** Goes to metrics: `accepted`, Apple's reason, or why nothing was sent. */
  result: string
  /** Apple's id of an accepted push. */
  apnsId?: string
}

/** A channel that can be pushed to. */
export type Reachable = PushTarget & { push_token: Buffer; push_magic: string; topic: string }

/** Whether a channel has given all that a push needs. */
export function hasToken(target: PushTarget | undefined): target is Reachable {
  return (
    target !== undefined && target.push_token !== null && target.push_magic !== null && target.topic !== null
  )
}

/** Whether pushes may be sent to a channel: it gave its token, and Apple has not refused that since. */
export function isReachable(target: PushTarget | undefined): target is Reachable {
  return target?.push_state === 'ok' && hasToken(target)
}

/** Nothing to wake, now or ever with this token: the need is dropped. */
export function unreachable(claim: Claim): Verdict {
  return { settlement: { claim, becomes: 'deleted' }, result: 'unreachable' }
}

/** No push with this topic passes at present: the need waits for a certificate. */
export function held(claim: Claim, topic: string, result: string): Verdict {
  return { settlement: { claim, becomes: 'held', topic }, result }
}

/** What follows from Apple's answer. `random` (0 to 1) spreads what is tried again. */
export function judge(
  outcome: ApnsOutcome,
  claim: Claim,
  target: Reachable,
  context: { now: Date; random: () => number },
): Verdict {
  switch (outcome.action) {
    case 'accepted':
      return {
        settlement: { claim, becomes: 'pushed' },
        record: recordOf(claim, target, 'accepted'),
        result: 'accepted',
        apnsId: outcome.apnsId,
      }
    case 'gone':
      // The device has said since then that the token is good.
      if (
        outcome.since !== null &&
        target.token_updated_at !== null &&
        outcome.since < target.token_updated_at
      ) {
        return retry(claim, target, { ...outcome, afterMs: AFTER_OLD_NEWS_MS }, context)
      }
      return gone(claim, target, outcome)
    case 'token_bad':
      return gone(claim, target, outcome)
    case 'retry':
      return retry(claim, target, outcome, context)
    case 'config_error':
      return held(claim, target.topic, outcome.reason)
    case 'bug':
      return {
        settlement: { claim, becomes: 'deleted' },
        record: recordOf(claim, target, outcome.reason),
        event: eventOf('push.refused', target, outcome.reason),
        result: outcome.reason,
      }
  }
}

function gone(
  claim: Claim,
  target: Reachable,
  { reason, since }: { reason: string; since?: Date | null },
): Verdict {
  const record = { ...recordOf(claim, target, reason), gone: true }
  // What Apple says of a token's end is older than the push, or as old.
  const unregisteredAt = since && since < claim.at ? since : claim.at
  return {
    settlement: { claim, becomes: 'deleted' },
    record: reason === UNREGISTERED ? { ...record, unregisteredAt } : record,
    event: eventOf('push.gone', target, reason),
    result: reason,
  }
}

function retry(
  claim: Claim,
  target: Reachable,
  { reason, afterMs }: { reason: string; afterMs: number },
  { now, random }: { now: Date; random: () => number },
): Verdict {
  const longest = PATIENT.test(reason) ? LONGEST_RETRY_MS : LONGEST_TRANSPORT_RETRY_MS
  const grown = Math.max(SHORTEST_RETRY_MS, afterMs) * 2 ** Math.min(claim.attempts, 20)
  const delay = Math.min(grown, longest) * (0.8 + 0.4 * random())
  return {
    settlement: { claim, becomes: 'retried', dueAt: addTime(now, Math.round(delay) / 1000, 'second') },
    record: recordOf(claim, target, reason),
    result: reason,
  }
}

/** `at` is when the token was read: a TokenUpdate after it overrules `gone`. */
function recordOf({ id, at }: Claim, { push_token: token }: Reachable, result: string): PushRecord {
  return { id, at, token, result, gone: false }
}

function eventOf(type: 'push.gone' | 'push.refused', target: Reachable, reason: string): NewEvent {
  return { type, enrollment_id: target.id, serial_number: target.serial_number, reason }
}
