import type { Clock } from '../../kernel/clock.ts'

const FIRST_PAUSE_MS = 2_000
const LONGEST_PAUSE_MS = 60_000

/** How long to wait after so many failures in a row, and not less than Apple asks for. */
export function pauseAfter(failures: number, retryAfterMs = 0): number {
  const growing = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS)
  return Math.max(growing * (1 + Math.random() / 4), retryAfterMs)
}

/** Waits; rejects with the signal's reason when that comes first. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const undo = clock.after(ms, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    function stop(): void {
      undo()
      reject(new Error('stopped while waiting', { cause: signal.reason }))
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
