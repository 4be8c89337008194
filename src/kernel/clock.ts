/** Time as seen by the program; injected so that tests can move it without waiting. */
export interface Clock {
  /** The present instant. */
  now(): Date
  /** Calls `fn` once after `ms` milliseconds, without keeping the process alive; returns the undo. */
  after(ms: number, fn: () => void): () => void
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => new Date(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

const MS_PER = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const

/** The instant `amount` units after `from` (before it, when negative). */
export function addTime(from: Date, amount: number, unit: keyof typeof MS_PER): Date {
  return new Date(from.getTime() + amount * MS_PER[unit])
}

/** What `work` comes to, or `otherwise` when that takes longer than `ms` milliseconds; `work` then goes on by itself. */
export function inTime<T>(clock: Clock, ms: number, work: Promise<T>, otherwise: T): Promise<T> {
  const late = Promise.withResolvers<T>()
  const stop = clock.after(ms, () => late.resolve(otherwise))
  return Promise.race([work, late.promise]).finally(stop)
}
