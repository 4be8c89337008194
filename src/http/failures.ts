import type { Clock } from '../kernel/clock.ts'
import { networkOf } from '../kernel/network.ts'

const WINDOW_MS = 60_000
const MAX_FAILURES = 20
const MAX_ADDRESSES = 10_000

/**
 * Allows each address 20 failures in a minute; IPv6 addresses count by their /64, the least a network has. They are counted
 * in memory, those who do not fail never; when too many addresses fail, the ones that began first are forgotten.
 */
export function createFailureLimiter(deps: { clock: Clock }) {
  const windows = new Map<string, { endsAt: number; failures: number }>()

  function current(key: string, now: number) {
    const window = windows.get(key)
    return window !== undefined && window.endsAt > now ? window : undefined
  }

  return {
    note(address: string): void {
      const key = networkOf(address)
      const now = deps.clock.now().getTime()
      const window = current(key, now)
      if (window !== undefined) {
        window.failures += 1
        return
      }
      windows.delete(key)
      windows.set(key, { endsAt: now + WINDOW_MS, failures: 1 })
      const [oldest] = windows.keys()
      if (windows.size > MAX_ADDRESSES && oldest !== undefined) windows.delete(oldest)
    },
    /** Whole seconds until this address may fail again; 0 when it has failures left. */
    retryAfter(address: string): number {
      const now = deps.clock.now().getTime()
      const window = current(networkOf(address), now)
      return window === undefined || window.failures <= MAX_FAILURES
        ? 0
        : Math.ceil((window.endsAt - now) / 1000)
    },
  }
}
