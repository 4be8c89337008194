import type { Clock } from './clock.ts'

const LONGEST_REST_MS = 2_000

/**
 * Work that is done in passes, of which there is never more than one at a time in this process. At first the loop is at rest.
 */
export function createPassLoop(options: {
  clock: Clock
  /** Milliseconds from a wake to its pass. */
  debounceMs: number
  /** A wake waits so many times as long as the last pass took, so that a flow of work leaves that share of the time to others. */
  rest?: number
  /** Does what there is to do. */
  pass: () => Promise<void>
  /** In how many milliseconds another pass is due, asked whenever none is wanted now; undefined when none is. */
  nextIn?: () => Promise<number | undefined>
  /** Told why a pass failed that nobody waits for. */
  onFailure: (error: unknown) => void
}) {
  const { clock, debounceMs, rest = 0, pass, nextIn, onFailure } = options
  let running: Promise<void> | undefined
  let isAgain = false
  let isClosed = false
  let lastMs = 0
  let cancelWake: (() => void) | undefined
  let cancelNext: (() => void) | undefined

  /** Has a pass made soon; many wakes of the same moment make one. */
  function wake(): void {
    if (isClosed) return
    cancelWake ??= clock.after(Math.max(debounceMs, Math.min(rest * lastMs, LONGEST_REST_MS)), () => {
      cancelWake = undefined
      runInBackground()
    })
  }

  function runInBackground(): void {
    run().catch(onFailure)
  }

  async function passes(): Promise<void> {
    try {
      while (isAgain && !isClosed) {
        isAgain = false
        const began = performance.now()
        await pass()
        lastMs = performance.now() - began
        const next = isAgain || isClosed ? undefined : await nextIn?.()
        if (next === undefined || isClosed) continue
        cancelNext?.()
        cancelNext = clock.after(next, runInBackground)
      }
    } finally {
      running = undefined
    }
  }

  /**
   * Has a pass made that begins after this call: now, or right after the one that is under way. Resolves when no more is
   * asked for; rejects when a pass fails.
   */
  function run(): Promise<void> {
    isAgain = true
    return (running ??= passes())
  }

  return {
    wake,
    run,
    /** Whether the loop is closed, so that a pass leaves the rest of its work. */
    isClosed: () => isClosed,
    /** Begins no pass any more, and waits for the one under way. */
    async close() {
      isClosed = true
      cancelWake?.()
      cancelNext?.()
      await running?.catch(() => undefined)
    },
  }
}
