import { classOf, nextTry, saysNotThere } from './failures.ts'
import type { Row } from './store.ts'
import type { End, Failed, Goods, Told } from './types.ts'

/** An error after which a list decides whether it has failed. */
export const REFUSED = 'refused'

/** What a row becomes when something has happened to it; `gone`: it is to be deleted. */
export type Settled = { gone?: true; told?: Told['type'] }

/** Takes in what became of the command of a row. */
export function settle(row: Row, end: End, goods: Goods | undefined, now: Date): Settled {
  if (end.state === 'live') {
    if (end.sentAt !== null) row.may_be_there = true
    return {}
  }
  row.command_uuid = null
  return row.is_wanted ? settleInstall(row, end, goods, now) : settleRemoval(row, end, now)
}

type Ended = Exclude<End, { state: 'live' }>

function isFailed(end: Ended): end is Failed {
  return end.state === 'error' || end.state === 'format_error'
}

function settleInstall(row: Row, end: Ended, goods: Goods | undefined, now: Date): Settled {
  switch (end.state) {
    case 'acknowledged':
      return acknowledge(row, end, goods)
    case 'expired':
    case 'lost':
      row.state = 'pending'
      return {}
    case 'cancelled':
      return fail(row, { reason: end.reason ?? 'cancelled', pauses: [] }, null, now)
    case 'error':
    case 'format_error':
      return settleError(row, end, goods, now)
  }
}

function settleError(row: Row, end: Failed, goods: Goods | undefined, now: Date): Settled {
  row.may_be_there = true
  const { state, reason, pauses } = classOf(end.state, end.chain)
  if (state === 'waiting') return wait(row, reason, nextTry(pauses, 1, now))
  // That an app is there says nothing of the settings that it was to get.
  const isDecided = goods?.isThereWhenAcknowledged !== false || end.requestType === 'Settings'
  if (isDecided) return fail(row, { reason, pauses }, end.chain, now)
  // The next list decides: it may be there, or on its way, all the same.
  row.acknowledged_at = end.at
  row.asks = 0
  row.asked_at = null
  row.reason = REFUSED
  row.error_chain = end.chain
  return {}
}

function acknowledge(
  row: Row,
  { at, requestType }: Extract<Ended, { state: 'acknowledged' }>,
  goods: Goods | undefined,
): Settled {
  row.acknowledged_at = at
  // What only got another configuration was there before, so a list without it means that it has gone.
  if (requestType !== 'Settings') row.is_listed = false
  row.may_be_there = true
  row.asks = 0
  row.asked_at = null
  row.there_revision = row.sent_revision
  row.there_rendering = row.sent_rendering
  // Only a list that shows it ends the failures in a row.
  const { attempts } = row
  clearFailure(row)
  row.attempts = attempts
  if (goods?.isThereWhenAcknowledged === false) return {}
  row.state = 'installed'
  return { told: 'delivery.installed' }
}

/** Forgets what has failed before. */
export function clearFailure(row: Row): void {
  row.reason = null
  row.error_chain = null
  row.attempts = 0
  row.next_try_at = null
}

/** Notes a failure. Without pauses only a person or a new revision brings another try. */
export function fail(
  row: Row,
  { reason, pauses }: { reason: string; pauses: readonly number[] },
  chain: unknown,
  now: Date,
): Settled {
  row.state = 'failed'
  row.reason = reason
  row.error_chain = chain
  row.attempts += 1
  row.next_try_at = nextTry(pauses, row.attempts, now)
  return { told: 'delivery.failed' }
}

/** Notes that something keeps it back. */
export function wait(row: Row, reason: string, until: Date | null): Settled {
  row.state = 'waiting'
  row.reason = reason
  row.next_try_at = until
  return {}
}

function settleRemoval(row: Row, end: Ended, now: Date): Settled {
  if (end.state === 'acknowledged') return { gone: true, told: 'delivery.removed' }
  if (end.state === 'expired' || end.state === 'lost') {
    row.there_revision = null
    row.there_rendering = null
    return {}
  }
  const chain = isFailed(end) ? end.chain : null
  if (saysNotThere(chain)) return { gone: true, told: 'delivery.removed' }
  const failure = isFailed(end)
    ? classOf(end.state, chain)
    : ({ state: 'failed', reason: 'cancelled', pauses: [1_440] } as const)
  const wasTold = row.attempts > 0
  row.reason = failure.reason
  row.error_chain = chain
  row.attempts += 1
  row.next_try_at = nextTry(failure.pauses, row.attempts, now)
  return failure.state === 'failed' && !wasTold ? { told: 'delivery.failed' } : {}
}
