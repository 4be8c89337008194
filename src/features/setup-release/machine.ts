import { addTime } from '../../kernel/clock.ts'
import type { AnswerState } from '../commands/index.ts'
import type { Release } from './store.ts'

/** The pause after a look at a held device that was in vain, in seconds; it doubles with each. */
const FIRST_PAUSE_SECONDS = 15
/** While it is held, or is about to be told once more. */
export const LONGEST_WAIT_SECONDS = 60
/** Once it is told to go on: it may be switched off for weeks. */
export const LONGEST_PAUSE_SECONDS = 3_600
/** A device that never answers is told so often as soon as it comes, and then once in so long. */
const FREE_TRIES = 5
const LOST_PAUSE_SECONDS = 60

/** How far a hold is. Held as long as there is no `reason`; told to go on then; over with `released_at`. */
export type Hold = Pick<
  Release,
  | 'created_at'
  | 'deadline'
  | 'configured_uuid'
  | 'reason'
  | 'is_retried'
  | 'missing'
  | 'tries'
  | 'next_at'
  | 'looks'
  | 'released_at'
>

/** Critical things of a device: `computed` when it is known which, `open` how many are on their way, `missing` what is not there. */
export interface CriticalState {
  computed: boolean
  open: number
  missing: Hold['missing']
}

/** What a device that is held waits for. */
type WaitsFor = 'contents' | 'first_commands' | 'critical_things'

/** What the stored rows say at this moment. */
export type Input =
  /** The enrollment has ended, has begun anew since, or was erased. */
  | { is: 'gone' }
  /** Of a device that is held. `isHolding`: its policy wants it to wait for more than that its contents are known. */
  | {
      is: 'held'
      isHolding: boolean
      minutes: number
      areFirstCommandsDone: boolean
      critical: CriticalState
    }
  /** Of a device that is told to go on: what became of that. */
  | { is: 'told'; answer: AnswerState }

/** What is to be done, with the state that follows. */
export type Decision =
  | { do: 'forget' }
  /** Wait, with the very hold that was given if nothing changes; `isPushed`: have the device pushed to if anything is pending for it. */
  | { do: 'wait'; hold: Hold; isPushed: boolean }
  /** Have the critical things that failed tried once more, and decide again. */
  | { do: 'retry'; hold: Hold }
  /** Queue DeviceConfigured. `because`: it is let go with this, the first time. */
  | { do: 'tell'; hold: Hold; because?: { waitsFor: WaitsFor[] } }
  /** The device has answered, so that it is held no more. */
  | { do: 'end'; hold: Hold; answer: 'acknowledged' | 'error' | 'format_error' }

/** What follows from how far a hold is and what the rows say. Pure: the same at whatever process, and after a kill. */
export function decide(hold: Hold, input: Input, now: Date): Decision {
  switch (input.is) {
    case 'gone':
      return { do: 'forget' }
    case 'held':
      return whileHeld(hold, input, now)
    case 'told':
      return onceTold(hold, input.answer, now)
  }
}

function whileHeld(hold: Hold, input: Extract<Input, { is: 'held' }>, now: Date): Decision {
  const { isHolding, minutes, critical } = input
  const deadline = deadlineOf(hold, minutes, now)
  const waitsFor = [
    ...(critical.computed ? [] : ['contents' as const]),
    ...(isHolding && !input.areFirstCommandsDone ? ['first_commands' as const] : []),
    ...(isHolding && critical.open > 0 ? ['critical_things' as const] : []),
  ]
  const isLate = deadline <= now
  const isKnown = hold.deadline?.getTime() === deadline.getTime()
  if (waitsFor.length > 0 && !isLate) return wait(isKnown ? hold : { ...hold, deadline }, now)
  const missing = isHolding ? critical.missing : []
  if (missing.length > 0 && !isLate && !hold.is_retried)
    return { do: 'retry', hold: { ...hold, deadline, is_retried: true } }
  const reason = waitsFor.length > 0 ? 'deadline' : isHolding ? 'commands_done' : 'policy'
  return { ...tell({ ...hold, deadline, reason, missing }, now), because: { waitsFor } }
}

/** A clock that was set back does not make it later than its policy allows. */
function deadlineOf({ deadline, created_at }: Hold, minutes: number, now: Date): Date {
  const wanted = deadline ?? addTime(created_at, minutes, 'minute')
  const latest = addTime(now, minutes, 'minute')
  return wanted < latest ? wanted : latest
}

function onceTold(hold: Hold, answer: AnswerState, now: Date): Decision {
  switch (answer) {
    case 'pending':
      return wait(hold, now)
    case 'acknowledged':
    case 'error':
    case 'format_error':
      return { do: 'end', hold: { ...hold, released_at: now }, answer }
    case 'none':
      // Cancelled, or out often enough without an answer: it is told again.
      if (hold.configured_uuid === null && !isDue(hold, now)) return { do: 'wait', hold, isPushed: false }
      if (hold.configured_uuid === null || hold.tries < FREE_TRIES) return tell(hold, now)
      return {
        do: 'wait',
        hold: { ...hold, configured_uuid: null, next_at: addTime(now, LOST_PAUSE_SECONDS, 'second') },
        isPushed: false,
      }
  }
}

function tell(hold: Hold, now: Date): Extract<Decision, { do: 'tell' }> {
  const next_at = addTime(now, FIRST_PAUSE_SECONDS, 'second')
  return { do: 'tell', hold: { ...hold, tries: hold.tries + 1, looks: 0, next_at } }
}

function wait(hold: Hold, now: Date): Decision {
  if (!isDue(hold, now)) return { do: 'wait', hold, isPushed: false }
  const pause = Math.min(longestPause(hold), FIRST_PAUSE_SECONDS * 2 ** Math.min(hold.looks, 10))
  const then = addTime(now, pause, 'second')
  const { deadline } = hold
  const next_at = hold.reason === null && deadline !== null && deadline < then ? deadline : then
  return { do: 'wait', hold: { ...hold, looks: hold.looks + 1, next_at }, isPushed: true }
}

/** Whether it is time to look at a device; also after a clock was set back. */
function isDue(hold: Hold, now: Date): boolean {
  return hold.next_at <= now || hold.next_at > addTime(now, longestPause(hold), 'second')
}

function longestPause({ reason, configured_uuid }: Hold): number {
  return reason === null || configured_uuid === null ? LONGEST_WAIT_SECONDS : LONGEST_PAUSE_SECONDS
}
