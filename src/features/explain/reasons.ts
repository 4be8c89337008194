import { REASON_CODES, type ReasonCode } from '../attempts/index.ts'

/** What explanations say beside the reasons of attempts: the closed list of the contract, one meaning each. */
const REASONS = {
  not_contacted: 'It has not come yet.',
  assignment_pending: 'Its enrollment policy is on its way to Apple.',
  assignment_throttled: 'Apple lets the assignment of its enrollment policy be tried again later.',
  assignment_failed: 'Apple has refused the assignment of its enrollment policy.',
  server_token_expired: 'The token of its ADE server is missing, has expired, or is rejected by Apple.',
  terms_not_signed: 'Apple has new terms that nobody has accepted.',
  sync_failing: 'The last sync with Apple has failed.',
  command_queued: 'A command waits for the device, or for its answer.',
  command_not_now: 'The device has answered NotNow.',
  command_failed: 'A command has ended without being done.',
  delivery_waiting: 'Something that a group delivers is on its way, or is held back.',
  delivery_failed: 'Something that a group delivers has failed.',
  rollout_halted: 'A rollout is halted, so the device keeps what it has.',
  push_gone: 'Apple says that the push token of the device is no longer valid.',
  approval_waiting: 'An act that destroys something waits for a second person.',
  governor_stopped: 'All that destroys something was stopped, and what was not sent was cancelled.',
  user_at_limit: 'The person has as many devices as the device limit allows.',
  held_in_setup: 'It is on its way through Setup Assistant, or held there.',
  unenrolled: 'The enrollment has ended.',
  enrolled: 'It is enrolled, and nothing is in the way.',
} as const satisfies Record<string, string>

/** Why something is as it is. */
export type ExplainReason = keyof typeof REASONS | ReasonCode

/** The reasons that attempts do not have, with their meaning. */
export const OWN_REASONS: Readonly<Record<string, string>> = REASONS

/** Every reason that an explanation may have. */
export const EXPLAIN_REASONS = [...(Object.keys(REASONS) as ExplainReason[]), ...REASON_CODES]
