import { addTime } from '../../../kernel/clock.ts'

/** Seconds until an event is tried again, by how often it was tried; then the last one again and again. */
const PAUSES = [2, 5, 15, 60, 300, 900, 3_600]
/** For so long a receiver may fail, and so long it may say that it cannot take an event. */
export const LIFE_DAYS = 3
const REFUSED_HOURS = 1
/** What is wrong with the request itself does not mend with time. */
const REFUSALS = new Set([400, 413, 415, 422])
const GONE = 410

/** What a receiver did with an event; without `status` it gave no answer. */
export interface Attempt {
  at: Date
  status: number | null
  duration_ms: number
  answer_bytes: number
  /** Why it was no success, for administrators. */
  error: string | null
}

/** What is known of an event's deliveries before. */
export interface Before {
  tries: number
  first_try_at: Date | null
  refused_since: Date | null
}

/** What follows from an attempt. */
export function after(attempt: Attempt, before: Before) {
  const { at, status, duration_ms, answer_bytes, error } = attempt
  const tries = before.tries + 1
  const first = before.first_try_at ?? at
  const refused = status !== null && REFUSALS.has(status) ? (before.refused_since ?? at) : null
  const told = { tries, first_try_at: first, last_try_at: at, status, duration_ms, answer_bytes, error }
  if (error === null) return { ...told, state: 'delivered' as const, retry_at: null, refused_since: null }
  const end = addTime(first, LIFE_DAYS, 'day')
  const last = refused === null ? end : earlier(end, addTime(refused, REFUSED_HOURS, 'hour'))
  if (at >= last) return { ...told, state: 'dead' as const, retry_at: null, refused_since: refused }
  const retry_at = earlier(last, addTime(at, pauseAfter(tries), 'second'))
  return { ...told, state: 'failed' as const, retry_at, refused_since: refused }
}

/** Seconds to wait after so many failures in a row. */
export function pauseAfter(tries: number): number {
  return PAUSES[tries - 1] ?? PAUSES.at(-1) ?? 0
}

/** Whether the receiver says that it is there no more. */
export function isGone({ status }: Pick<Attempt, 'status'>): boolean {
  return status === GONE
}

function earlier(a: Date, b: Date): Date {
  return a < b ? a : b
}
