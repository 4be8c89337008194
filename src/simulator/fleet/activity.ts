import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../random.ts'

/** What happens in a fleet, and what is planned; `isBusy`: whether something is going on at the moment. */
export function createActivity(clock: Clock, isBusy: () => boolean) {
  let happened = 0
  let planned = 0
  return {
    /** Something happens. */
    note: () => void happened++,
    /** Does something later, after up to half as much again, so that a fleet does not come back in one wave. */
    plan(random: Random, ms: number, action: () => void) {
      planned++
      clock.after(Math.round(ms * (1 + random.next() / 2)), () => {
        planned--
        action()
      })
    },
    /** Resolves when nothing has happened and nothing was planned for `quietMs`. */
    quiet: (quietMs: number) =>
      new Promise<void>((resolve) => {
        let seen = -1
        const look = () => {
          const busy = planned > 0 || isBusy()
          if (!busy && seen === happened) return resolve()
          seen = busy ? -1 : happened
          clock.after(quietMs, look)
        }
        look()
      }),
  }
}
