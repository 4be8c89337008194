import type { AttemptRow, AttemptStepRow } from '../../db/tables/attempts.ts'
import type { EventData, NewEvent, RefusalDetail } from '../events/index.ts'
import type { ReasonCode } from './reasons.ts'

/** By what a device tries to get in: Setup Assistant's form or web view, an enrollment link, the enrollment page. */
export const WAYS = ['ade', 'ade_web', 'link', 'page'] as const
export type Way = (typeof WAYS)[number]

/** A device that has not come to Authenticate within this time after it got its profile went nowhere. */
export const ATTEMPT_MINUTES = 60

/** How an attempt stands. `rejected` = we refused it, `expired` = it went nowhere. */
export const OUTCOMES = ['in_progress', 'enrolled', 'rejected', 'expired'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** The contacts and decisions of an attempt, in the order in which they usually come. */
export const STEPS = [
  'contact',
  'assignment',
  'os_version',
  'sign_in',
  'device_limit',
  'profile',
  'certificate',
  'authenticate',
  'token_update',
  'release',
  'configured',
  'unenroll',
] as const
export type StepName = (typeof STEPS)[number]

/** What is known of an attempt when it opens. `deadline`: when it counts as abandoned, unless moved by a note. */
export interface NewAttempt {
  way: Way
  deadline: Date
  serial_number?: string | null
  udid?: string | null
  user_id?: string | null
  user_name?: string | null
  policy_id?: string | null
  link_id?: string | null
}

/**
 * A line of the timeline. `detail` is JSON for administrators and never holds a secret; `user_name` is that of who signed in, or
 * tried to.
 */
export interface NewStep {
  step: StepName
  outcome: 'passed' | 'refused'
  reason?: ReasonCode
  user_name?: string
  /** Of a contact at power-on: SHA-256 of what the device signed, hex. */
  machine_info_hash?: string
  detail?: Record<string, unknown>
}

/** A refusal that ends the attempt. `request_id` goes to the log. */
export interface Rejection {
  step: StepName
  reason: ReasonCode
  detail?: RefusalDetail
  user_name?: string
  request_id?: string
}

/** Why an enrollment is taken back. */
export interface Revocation {
  step: StepName
  reason: ReasonCode
  detail: Omit<EventData<'enrollment.revoked'>, 'way'>
}

/** A contact of a device at power-on, and what was decided. */
export interface Contact {
  attempt: NewAttempt & { serial_number: string }
  /** SHA-256 of what the device signed, hex. */
  machineInfoHash: string
  /** Whether somebody has typed a user name and password: what comes of that is told each time. */
  isAnswer: boolean
  /** Whether the same signed words have opened an enrollment that is alive. */
  isReplayed: boolean
  /** What was learnt of the person. */
  facts?: AttemptFacts
  /** What was passed before anybody signs in, the contact first, and what came after. */
  checks: readonly NewStep[]
  steps: readonly NewStep[]
  /** `ends` false: the device may try again in the same attempt. */
  refusal?: Omit<Rejection, 'request_id'> & { ends: boolean }
  request_id?: string
}

/**
 * An attempt of a device at power-on that is in progress, of which each has one at most; whether it was given a profile and has
 * got its certificate, and what is another after each change of the row.
 */
export type OpenAttempt = Pick<
  Attempt,
  'id' | 'way' | 'serial_number' | 'udid' | 'user_id' | 'user_name' | 'policy_id' | 'enrollment_id'
> & { has_profile: boolean; has_certificate: boolean; version: string }

/** The newest attempt with a contact of the same signed words within the last hour, and what came of it last. */
export interface RecentContact {
  id: string
  outcome: Outcome
  step: string
  step_outcome: 'passed' | 'refused'
  reason: string | null
}

/**
 * What a contact comes to, ready to be written as long as the attempt `seen` has not changed, or there is still none. An
 * attempt with an outcome ends with it.
 */
export interface ContactPlan {
  /** The attempt that the contact belongs to. */
  id: string
  serial: string
  /** The attempt that was in progress, and its version. */
  seen?: { id: string; version: string }
  opened?: NewAttempt & { outcome?: Outcome; reason?: ReasonCode }
  joined?: AttemptFacts & { outcome?: Outcome; reason?: ReasonCode }
  /** The attempt that the contact puts an end to. */
  abandoned?: string
  /** The attempt whose last step is counted once more: nothing else has come of it this time. */
  repeats?: string
  /** Of this attempt; that another one was abandoned is a step of that one. */
  steps: readonly NewStep[]
  events: readonly NewEvent[]
}

/** What became known later; names left out stay as they are. */
export interface AttemptFacts {
  serial_number?: string
  udid?: string
  enrollment_id?: string
  user_id?: string
  user_name?: string
  deadline?: Date
}

/** An attempt as it is kept. */
export type Attempt = AttemptRow

/** A line of the timeline as it is told. */
export type TimelineStep = Pick<AttemptStepRow, 'at' | 'step' | 'outcome' | 'reason' | 'user_name' | 'detail'>
