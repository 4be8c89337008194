import type { ReasonCode } from '../../attempts/index.ts'
import type { PhoneFacts } from '../facts.ts'
import { isOurs } from './states.ts'

/** What to do after a refusal, and what goes on by itself. */
const NEXT_STEPS: Readonly<Record<ReasonCode, string>> = {
  unknown_serial:
    'Assign the serial number to the server of Firstboot in Apple Business Manager and start a sync; then set the device up again.',
  not_assigned:
    'Assign an enrollment policy to the serial number; then erase the device, so that it asks Apple again where to enroll.',
  blocked: 'Unblock the serial number if it may enroll; then set the device up again.',
  machine_info_invalid:
    'Let the device try again; if it fails again, update its system, because no device of Apple sends this.',
  machine_info_untrusted:
    'Nothing if this was no device of yours; if it was, look whether something between it and this server changes what it sends.',
  os_update_required: 'Update the device; it goes on by itself when its system is new enough.',
  sign_in_required:
    'Nothing here: the person types user name and password on the device, which then goes on.',
  invalid_credentials:
    'The person tries again on the device; set a new password, or correct it in the directory, if it is forgotten.',
  password_expired: 'The person sets a new password where it is kept; then they sign in again on the device.',
  password_change_required:
    'The person chooses a new password first, at the page /enroll or in the directory; then they sign in again on the device.',
  mfa_required:
    'Let the policy sign people in by a web page (OpenID), or except this sign-in from the second factor in the directory.',
  user_disabled: 'Enable the user here or in the directory if they may enroll; then they sign in again.',
  user_unknown:
    'Make a user of that name, or let the sign-in source make users by itself; then the person signs in again.',
  directory_unavailable:
    'Test the sign-in source, and mend what it tells; the person can then sign in again on the device.',
  enrollment_manager_not_allowed: 'Let somebody sign in who is no enrollment manager.',
  device_limit_exceeded:
    'Unenroll a device of this person, or raise their device limit; then the device is set up again.',
  push_certificate_missing:
    'Upload a valid push certificate; devices are let in and woken by themselves as soon as it is there.',
  challenge_invalid: 'Let the device begin anew: it gets a new profile with a new challenge.',
  challenge_used: 'Let the device begin anew: it gets a new profile with a new challenge.',
  challenge_expired: 'Let the device begin anew: it gets a new profile with a new challenge.',
  csr_rejected: 'Let the device begin anew; no device of Apple sends such a request by itself.',
  certificate_mismatch: 'Let the device begin anew, so that it gets a certificate of its own.',
  topic_mismatch: 'Let the device begin anew: it gets a profile with the push topic that is in use.',
  link_used_up: 'Make a new enrollment link, and let the device fetch its profile there.',
  link_expired: 'Make a new enrollment link, and let the device fetch its profile there.',
  link_revoked: 'Make a new enrollment link if the device may enroll, and let it fetch its profile there.',
  unknown_key:
    'Assign the policy again, so that Apple has the right address; then erase the device, so that it asks Apple again.',
  too_many_failures:
    'Nothing: it is let try again by itself in some minutes; then the right password is needed.',
  owned_by_another:
    'Unenroll the enrollment that has the place, or allow its re-enrollment for an hour; then let the device try again.',
  machine_info_replayed:
    'Nothing if nobody sets this device up, as somebody has sent a copy; else erase it, so that it signs anew.',
  abandoned: 'Set the device up again, and let it go on to the end; it needs its network all the time.',
  unenrolled_by_assignment:
    'Erase the device and set it up: it then enrolls by itself under the policy of its serial number.',
}

/** What was in the way is not any more, as far as that can be known here. */
const CURED: Readonly<Partial<Record<ReasonCode, (facts: PhoneFacts) => boolean>>> = {
  unknown_serial: isOurs,
  not_assigned: (facts) => isOurs(facts) && facts.ade?.policy_id != null,
  blocked: (facts) => isOurs(facts) && facts.ade?.blocked_at === null,
  user_disabled: ({ person }) => person?.user.disabled === false,
  password_change_required: ({ person }) => person?.user.must_change_password === false,
  device_limit_exceeded: ({ person }) =>
    person !== undefined && (person.limit === null || person.places < person.limit),
  push_certificate_missing: ({ certificate, now }) =>
    certificate !== undefined && certificate.rejected_reason === null && certificate.not_after > now,
}

const AGAIN = 'What was in the way is gone: set the device up again, and it is let in by itself.'

/** Whether the cause of a refusal is known to be gone. */
export function isCured(reason: ReasonCode, facts: PhoneFacts): boolean {
  return CURED[reason]?.(facts) ?? false
}

/** What follows from a refusal. */
export function nextStepAfter(reason: ReasonCode, facts: PhoneFacts | undefined): string {
  if (facts !== undefined && isCured(reason, facts)) return AGAIN
  return Object.hasOwn(NEXT_STEPS, reason) ? NEXT_STEPS[reason] : 'Let the device try again.'
}
