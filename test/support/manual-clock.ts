import type { Clock } from '../../src/kernel/clock.ts'

/** A clock that stands still until it is moved, and then calls what has become due, in order. */
export interface ManualClock extends Clock {
  /** Moves the time by so many milliseconds. */
  advance(ms: number): void
}

/** Makes one; it starts at the real time, because TLS judges certificates by that. */
export function manualClock(start = new Date()): ManualClock {
  let now = start.getTime()
  const timers = new Set<{ at: number; fn: () => void }>()

  function nextDue(until: number) {
    return [...timers].filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0]
  }

  return {
    now: () => new Date(now),
    after(ms, fn) {
      const timer = { at: now + ms, fn }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance(ms) {
      const end = now + ms
      for (let timer = nextDue(end); timer; timer = nextDue(end)) {
        timers.delete(timer)
        now = Math.max(now, timer.at)
        timer.fn()
      }
      now = end
    },
  }
}
