/** Why nobody was signed in; the first six are about the person, the last about the directory. */
export type PasswordProblem =
  | 'invalid_credentials'
  | 'password_expired'
  | 'password_change_required'
  | 'mfa_required'
  | 'user_disabled'
  | 'user_unknown'
  | 'directory_unavailable'

/** `detail`: a sentence for administrators, never with a password in it. */
export interface PasswordRefusal {
  readonly ok: false
  readonly reason: PasswordProblem
  readonly detail: string
}

/** What the directory says of the person. */
export interface Claims {
  /** What the directory calls the person for ever: the ImmutableID, else a name identifier that stays, else the name. */
  readonly subject: string | undefined
  /** The user principal name, or another name that looks like one. */
  readonly userName: string | undefined
  readonly email: string | undefined
  readonly displayName: string | undefined
}

/** The password is right, or why nobody is signed in. */
export type PasswordResult = ({ readonly ok: true } & Claims) | PasswordRefusal

/** A refusal. */
export function refuse(reason: PasswordProblem, detail: string): PasswordRefusal {
  return { ok: false, reason, detail }
}

/** The refusal that says nothing about the person. */
export function unavailable(detail: string): PasswordRefusal {
  return refuse('directory_unavailable', detail)
}
