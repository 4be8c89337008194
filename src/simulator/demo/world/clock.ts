import { addTime, systemClock, type Clock } from '../../../kernel/clock.ts'

/** A clock that is some minutes slow until it catches up: how the demo lets time pass without waiting. */
export interface DemoClock extends Clock {
  /** How many minutes pass when it does. */
  readonly minutes: number
  catchUp(): void
}

/** Longer than a challenge counts, shorter than an attempt stays open. */
const MINUTES = 20

/** A slow clock, to be shared by server, fakes and phones. */
export function createDemoClock(): DemoClock {
  let behind = MINUTES
  return {
    minutes: MINUTES,
    now: () => addTime(systemClock.now(), -behind, 'minute'),
    after: systemClock.after,
    catchUp: () => void (behind = 0),
  }
}
