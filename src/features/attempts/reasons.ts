/**
 * Why an enrollment attempt was refused or went nowhere: the closed list of the contract, one meaning each, with the
 * sentence that tells an administrator what happened.
 */
const REASONS = {
  unknown_serial: 'The serial number is not one of an Automated Device Enrollment server of ours.',
  not_assigned: 'The device is not assigned to the enrollment policy whose address it used.',
  blocked: 'An administrator has blocked this serial number.',
  machine_info_invalid: 'What the device said about itself cannot be read.',
  machine_info_untrusted: 'What the device said about itself is not signed by a device of Apple.',
  os_update_required: 'The operating system is older than the enrollment policy demands.',
  sign_in_required: 'The enrollment policy asks for a user, and nobody has signed in.',
  invalid_credentials: 'The user name or the password is wrong.',
  password_expired: 'The password of the user has expired.',
  password_change_required: 'The user must choose a new password first.',
  mfa_required: 'The directory asks for a second factor, which the device cannot show.',
  user_disabled: 'The user is disabled.',
  user_unknown: 'There is no such user here.',
  directory_unavailable: 'The directory that checks passwords could not be reached or is set up wrongly.',
  enrollment_manager_not_allowed: 'An enrollment manager may not enroll devices in this way.',
  device_limit_exceeded: 'The user has as many devices as the device limit allows.',
  push_certificate_missing: 'There is no valid push certificate, and without one no device can be managed.',
  challenge_invalid:
    'The certificate request came with a challenge that was not given out or no longer counts.',
  challenge_used: 'The challenge of the certificate request had already been used for another key.',
  challenge_expired: 'The certificate request came after its challenge had expired.',
  csr_rejected: 'The certificate request is damaged, or its key is not RSA of 2048 to 4096 bits.',
  certificate_mismatch: 'The device presented a certificate that was issued for another attempt or device.',
  topic_mismatch: 'The device was set up for another push topic than the one in use.',
  link_used_up: 'The enrollment link has been used as often as it may be.',
  link_expired: 'The enrollment link has expired.',
  link_revoked: 'The enrollment link was revoked.',
  unknown_key: 'The enrollment address is not one of ours.',
  too_many_failures: 'Too many failed tries came from this user or address; the next ones have to wait.',
  owned_by_another: 'The device is enrolled for another, or in a stronger way.',
  machine_info_replayed:
    'What the device said about itself is a copy: it opened an enrollment that is alive.',
  abandoned: 'The device did not go on, or started anew.',
  unenrolled_by_assignment:
    'The serial number was given an enrollment policy later, so the device must enroll anew.',
} as const satisfies Record<string, string>

/** Why an attempt was refused; used nowhere but for attempts and what tells of them. */
export type ReasonCode = keyof typeof REASONS

/** Every reason code, for schemas. */
export const REASON_CODES = Object.keys(REASONS) as ReasonCode[]

/** Whether this is one of these codes. */
export function isReasonCode(reason: string | null): reason is ReasonCode {
  return reason !== null && Object.hasOwn(REASONS, reason)
}

/** The sentence for an administrator; null for no reason. Codes of a newer version are given as they are. */
export function explainReason(reason: string | null): string | null {
  if (reason === null) return null
  return Object.hasOwn(REASONS, reason) ? REASONS[reason as ReasonCode] : reason
}
