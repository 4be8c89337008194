import { expect, test } from 'vitest'
import { after } from '../../../src/features/events/webhooks/schedule.ts'

/** Tries at which an event fails so, in seconds after the first one, until it is given up. */
function tries(status: number | null): number[] {
  const began = new Date('2026-05-01T08:00:00Z')
  const seconds: number[] = []
  let before = { tries: 0, first_try_at: null as Date | null, refused_since: null as Date | null }
  for (let at: Date | null = began; at !== null && seconds.length < 1_000;) {
    seconds.push((at.getTime() - began.getTime()) / 1_000)
    const outcome: ReturnType<typeof after> = after(
      { at, status, duration_ms: 1, answer_bytes: 0, error: 'no' },
      before,
    )
    before = outcome
    at = outcome.retry_at
    if (at === null) expect(outcome.state).toBe('dead')
  }
  return seconds
}

test.each([500, 404, null])('pauses grow to an hour, for three days (%s)', (status) => {
  const seconds = tries(status)
  expect(seconds.slice(0, 9)).toEqual([0, 2, 7, 22, 82, 382, 1_282, 4_882, 8_482])
  expect(seconds.at(-1)).toBe(3 * 24 * 3_600)
  const pauses = seconds.slice(1).map((at, n) => at - (seconds[n] ?? 0))
  expect(Math.max(...pauses)).toBe(3_600)
})

test.each([400, 413, 415, 422])('what will not mend is given up after an hour (%i)', (status) => {
  expect(tries(status)).toEqual([0, 2, 7, 22, 82, 382, 1_282, 3_600])
})

test('the hour begins anew when there was another answer in between', () => {
  const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1, 0, minutes))
  const attempt = { duration_ms: 1, answer_bytes: 0, error: 'no' }
  const first = after(
    { at: at(0), status: 400, ...attempt },
    { tries: 0, first_try_at: null, refused_since: null },
  )
  const second = after({ at: at(50), status: 503, ...attempt }, first)
  const third = after({ at: at(70), status: 400, ...attempt }, second)
  expect([second.refused_since, third.state, third.refused_since]).toEqual([null, 'failed', at(70)])
})
