import type { Clock } from '../../kernel/clock.ts'

/** Ways in which a server breaks Apple's protocol, as a device sees them. */
export type ViolationKind =
  /** A 401 to an MDM request: the device takes it as "you are not managed" and removes the profile. */
  | 'unauthorized'
  /** A status that no valid message deserves. */
  | 'unexpected_status'
  /** A 200 whose body is no valid command, or no valid answer to a check-in message. */
  | 'invalid_body'
  /** A body where the protocol asks for none. */
  | 'body_not_empty'
  | 'wrong_content_type'
  /** A Content-Length that lies, or HTTP that cannot be read. */
  | 'malformed_http'
  | 'repeated_after_not_now'
  | 'repeated_after_final_answer'
  | 'wrong_channel'
  /** More commands in a session than any queue holds. */
  | 'endless_session'
  | 'profile_invalid'
  | 'profile_update_invalid'
  | 'scep_invalid'
  | 'push_before_token'
  | 'push_after_check_out'
  | 'push_wrong_magic'
  | 'push_wrong_topic'
  | 'push_unknown_token'
  /** A refusal in Setup Assistant that says more than nothing and is no document of Apple's. */
  | 'refusal_not_silent'
  /** A refusal that carries a profile all the same. */
  | 'profile_with_refusal'
  /** A 401 in Setup Assistant that does not ask for Basic credentials. */
  | 'challenge_invalid'
  /** A 429 without Retry-After. */
  | 'retry_after_missing'
  /** A demand for an update that is not as Apple describes it, or to a device that cannot follow. */
  | 'update_demand_invalid'
  /** The profile at the end of the web view comes from a host that has nothing to do with its address. */
  | 'profile_host'
  /** A page that a web view cannot show, or a redirect that leads nowhere. */
  | 'page_invalid'
  /** A cookie that a web view does not take. */
  | 'cookie_invalid'
  /** A form whose target, or a redirect from there, is not in the form-action of its page. */
  | 'form_action_blocked'
  /** Held in Setup Assistant, and DeviceConfigured did not come in time. */
  | 'not_configured'

/** One breach: which device saw it, and what exactly. */
export interface Violation {
  kind: ViolationKind
  at: Date
  serialNumber: string
  detail: string
}

/** Called for every breach. */
export type ReportViolation = (kind: ViolationKind, detail: string) => void

/** Keeps the breaches that one device sees, oldest first, and tells `onViolation` of each. */
export function watchViolations(
  serialNumber: string,
  clock: Clock,
  onViolation: ((violation: Violation) => void) | undefined,
) {
  const kept: Violation[] = []
  const keep = (violation: Violation) => {
    kept.push(violation)
    onViolation?.(violation)
  }
  const report: ReportViolation = (kind, detail) => keep({ kind, at: clock.now(), serialNumber, detail })
  return { seen: kept as readonly Violation[], keep, report }
}
