import { addTime, type Clock } from './clock.ts'

/** Work that is done in passes, of which there is never more than one at a time in this process. */
interface PassLoop {
  /** Has a pass made soon; many wakes of the same moment make one. */
  wake(): void
  /**
   * Has a pass made that begins after this call: now, or right after the one that is under way. Resolves when no more is
   * asked for; rejects when a pass fails.
   */
  run(): Promise<void>
  /** Whether the loop is closed, so that a pass leaves the rest of its work. */
  isClosed(): boolean
  /** Begins no pass any more, and waits for the one under way. */
  close(): Promise<void>
}

/** A loop at rest. */
export function createPassLoop(options: {
  clock: Clock
  /** Milliseconds from a wake to its pass. */
  debounceMs: number
  /** Does what there is to do. */
  pass: () => Promise<void>
  /** In how many milliseconds another pass is due, asked whenever none is wanted now; undefined when none is. */
  nextIn?: () => Promise<number | undefined>
  /** Told why a pass failed that nobody waits for. */
  onFailure: (error: unknown) => void
}): PassLoop {
  const { clock, debounceMs, pass, nextIn, onFailure } = options
  let running: Promise<void> | undefined
  let isAgain = false
  let isClosed = false
  let timer: { at: Date; cancel: () => void } | undefined

  function schedule(ms: number): void {
    const at = addTime(clock.now(), ms / 1_000, 'second')
    if (isClosed || (timer !== undefined && timer.at <= at)) return
    timer?.cancel()
    const cancel = clock.after(ms, () => {
      timer = undefined
      run().catch(onFailure)
    })
    timer = { at, cancel }
  }

  async function passes(): Promise<void> {
    try {
      while (isAgain && !isClosed) {
        isAgain = false
        await pass()
        const next = isAgain || isClosed ? undefined : await nextIn?.()
        if (next !== undefined) schedule(next)
      }
    } finally {
      running = undefined
    }
  }

  function run(): Promise<void> {
    isAgain = true
    return (running ??= passes())
  }

  return {
    wake: () => schedule(debounceMs),
    run,
    isClosed: () => isClosed,
    async close() {
      isClosed = true
      timer?.cancel()
      await running?.catch(() => undefined)
    },
  }
}
