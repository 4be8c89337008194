import type { Clock } from '../../src/kernel/clock.ts'

/** A clock that began at a real time and goes faster since, in all processes alike. */
export function fastClock({ began, speed }: { began: number; speed: number }): Clock {
  return {
    now: () => new Date(began + (Date.now() - began) * speed),
    after(ms, fn) {
      const timer = setTimeout(fn, ms / speed)
      return () => clearTimeout(timer)
    },
  }
}
