/**
 * The closed list of what can go wrong, and the one table that says how each is told: the HTTP status of the
 * operator API, the text that anyone may read, and the level of the log line. Device endpoints use the code but
 * render it their own way.
 */
const ERRORS = {
  invalid_request: [400, 'The request is not valid.', 'info'],
  invalid_json: [400, 'The body is not valid JSON.', 'info'],
  plist_invalid: [400, 'The property list is not valid.', 'info'],
  xml_invalid: [400, 'The XML document is not valid.', 'info'],
  cms_invalid: [400, 'The signed or encrypted message is not valid.', 'info'],
  x509_invalid: [400, 'The certificate is not valid.', 'info'],
  csr_invalid: [400, 'The certificate request is not valid.', 'info'],
  scep_invalid: [400, 'The SCEP message is not valid.', 'info'],
  message_invalid: [400, 'The device message is not valid.', 'info'],
  command_invalid: [422, 'This is not a command that can be sent.', 'info'],
  profile_invalid: [422, 'This is not a configuration profile that can be sent.', 'info'],
  profile_encrypted: [422, 'The profile is encrypted.', 'info'],
  profile_breaks_management: [
    422,
    'The profile would replace the management or the identity of its devices.',
    'info',
  ],
  scope_changed: [422, 'The scope of the profile is another one than before.', 'info'],
  command_unsuited: [422, 'The command does not suit the device.', 'info'],
  not_in_lost_mode: [409, 'The device is not in lost mode.', 'info'],
  unlock_token_missing: [409, 'The device has given no token that clears its passcode.', 'info'],
  push_certificate_invalid: [422, 'This is not a usable push certificate.', 'info'],
  push_certificate_expired: [422, 'The push certificate has expired.', 'info'],
  push_certificate_key_missing: [
    422,
    'The private key of the push certificate is missing or another one.',
    'info',
  ],
  push_certificate_not_mdm: [
    422,
    'The certificate is not one for MDM pushes (no com.apple.mgmt topic).',
    'info',
  ],
  push_certificate_topic_changed: [409, 'The certificate has another topic than the one in use.', 'info'],
  vendor_identity_invalid: [422, "The vendor's certificate and key cannot sign the request.", 'info'],
  push_certificate_missing: [409, 'There is no valid push certificate yet.', 'info'],
  token_not_smime: [422, 'This is not the server token file (.p7m) that Apple gives.', 'info'],
  token_for_another_key: [422, 'The server token was made for another encryption key.', 'info'],
  token_incomplete: [422, 'The server token does not hold all that it must.', 'info'],
  token_expired: [422, 'The server token has expired.', 'info'],
  token_of_another_server: [409, "The token is of another of Apple's servers than the one before.", 'info'],
  token_of_another_apple_id: [409, 'The token was made with another Apple ID than the one before.', 'info'],
  policy_not_for_ade: [422, 'The enrollment policy is not for automated enrollment (ade.enabled).', 'info'],
  identifier_changed: [422, 'It has another identifier than the one before.', 'info'],
  package_invalid: [422, 'This is not an app package (IPA) that can be hosted.', 'info'],
  contents_invalid: [422, 'The group cannot deliver that.', 'info'],
  rollout_running: [409, 'A rollout of this thing is open already.', 'info'],
  governor_limit: [409, 'That is more than the limit for acts that destroy something.', 'warn'],
  governor_stopped: [409, 'All that destroys something is stopped, until an administrator resumes.', 'warn'],
  own_act: [403, 'An act is approved by another person than who asked for it.', 'info'],
  stale: [409, 'What this is about has changed since.', 'info'],
  sync_running: [409, 'A sync of this server is running already.', 'info'],
  ade_failed: [502, 'Apple has not done what it was asked.', 'warn'],
  upstream_refused: [422, 'That address may not be called: https is needed, except on loopback.', 'info'],
  upstream_unavailable: [502, 'Another server that is needed here cannot be reached.', 'warn'],
  unauthenticated: [401, 'A valid API token is needed.', 'info'],
  forbidden: [403, 'The role of this token does not allow that.', 'info'],
  not_found: [404, 'There is no such thing.', 'info'],
  method_not_allowed: [405, 'This address does not take that method.', 'info'],
  conflict: [409, 'That does not fit the present state.', 'info'],
  in_use: [409, 'Something else names this.', 'info'],
  template_invalid: [422, 'The text has a variable that it cannot have.', 'info'],
  search_empty: [422, 'There is nothing to look for.', 'info'],
  rule_invalid: [422, 'This is not a rule that a group can have.', 'info'],
  idempotency_key_in_use: [409, 'A request with this Idempotency-Key is still running.', 'info'],
  idempotency_key_reused: [422, 'This Idempotency-Key was used for another request.', 'info'],
  cursor_gone: [410, 'What came after this position is kept no more.', 'info'],
  precondition_failed: [412, 'The resource was changed in the meantime.', 'info'],
  payload_too_large: [413, 'The body is too large.', 'info'],
  too_many_values: [413, 'The body has more values than this address takes.', 'info'],
  unsupported_media_type: [415, 'The content type is not supported here.', 'info'],
  too_many_calls: [429, 'This token has made too many calls; try again later.', 'info'],
  too_many_failures: [429, 'Too many attempts have failed; try again later.', 'info'],
  // The database itself tells of it, once and not with each request.
  database_unavailable: [503, 'The database cannot be reached at the moment.', 'debug'],
  overloaded: [503, 'The server is busy or stopping.', 'warn'],
  internal: [500, 'Something went wrong inside the server.', 'error'],
} as const satisfies Record<
  string,
  readonly [status: number, text: string, level: 'debug' | 'info' | 'warn' | 'error']
>

/** A code of the closed list above. */
export type ErrorCode = keyof typeof ERRORS

/** What the table says of a code. */
export function describeError(code: ErrorCode): {
  status: number
  text: string
  level: 'debug' | 'info' | 'warn' | 'error'
} {
  const [status, text, level] = ERRORS[code]
  return { status, text, level }
}

/** What is wrong at one place of a JSON body: an RFC 6901 pointer to it, and a sentence. */
export interface Fault {
  pointer: string
  detail: string
}

/** What names a thing, and so keeps it from being deleted. */
export interface UsedBy {
  kind: string
  id: string
  name: string
}

/** A device for which a command is not, why, and the same in sentences. */
interface UnsuitedDevice {
  device_id: string
  reasons: readonly string[]
  details: readonly string[]
}

/** A bad part of a request. */
interface BadField {
  /** Its parts separated by dots. */
  path: string
  message: string
  /** The place in the body (RFC 6901) where `path` does not tell it; null: it is not in the body. */
  pointer?: string | null
}

/** What else is said of an error. */
interface Details {
  cause?: unknown
  /** Each bad part of a request. */
  fields?: readonly BadField[]
  /** Each bad place of a body whose form is too rich for `fields`. */
  faults?: readonly Fault[]
  /** With `in_use`: by what. */
  usedBy?: readonly UsedBy[]
  /** With `command_unsuited`: which devices, and why. */
  unsuited?: readonly UnsuitedDevice[]
}

/**
 * An error that is understood. `message` says in one sentence what is wrong; it may be shown to operators when the
 * status is below 500, and never holds a secret.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly fields: NonNullable<Details['fields']>
  readonly faults: readonly Fault[]
  readonly usedBy: readonly UsedBy[]
  readonly unsuited: readonly UnsuitedDevice[]

  constructor(code: ErrorCode, message?: string, details: Details = {}) {
    super(message ?? describeError(code).text, details.cause === undefined ? {} : { cause: details.cause })
    this.name = 'AppError'
    this.code = code
    this.fields = details.fields ?? []
    this.faults = details.faults ?? []
    this.usedBy = details.usedBy ?? []
    this.unsuited = details.unsuited ?? []
  }
}
