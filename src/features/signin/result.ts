import type { User } from '../users/index.ts'

/** Why nobody was signed in; each is a reason code of enrollment attempts. */
export type SignInReason =
  /** Nobody has proved anything yet, or the proof came too late or from elsewhere: begin again. */
  | 'sign_in_required'
  | 'invalid_credentials'
  | 'user_unknown'
  | 'user_disabled'
  | 'password_expired'
  | 'password_change_required'
  | 'mfa_required'
  /** Says nothing about the person: the directory is down or set up wrongly, or this server is too busy. */
  | 'directory_unavailable'
  | 'too_many_failures'

/**
 * Why nobody was signed in. `detail` is a sentence for administrators, never with a secret in it. `user` is there when the
 * password was right all the same, so that a web page may offer to change it.
 */
export interface SignInRefusal {
  readonly ok: false
  readonly reason: SignInReason
  readonly detail: string
  /** Whole seconds to wait; with `too_many_failures`. */
  readonly retryAfterSeconds?: number
  readonly user?: User
}

/** Who has signed in, or why nobody has. */
export type SignInResult = { readonly ok: true; readonly user: User } | SignInRefusal

/** A refusal. */
export function refuse(
  reason: SignInReason,
  detail: string,
  more: Pick<SignInRefusal, 'retryAfterSeconds' | 'user'> = {},
): SignInRefusal {
  return { ok: false, reason, detail, ...more }
}

/** The refusal of a check whose turn would come too late. */
export function busy(): SignInRefusal {
  return refuse('directory_unavailable', 'busy: too many passwords wait to be checked at the moment')
}
