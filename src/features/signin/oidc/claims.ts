import type { Person } from '../admission.ts'
import type { OidcSource } from '../sources/types.ts'

/** Claims of a person (OpenID Connect Core 1.0, section 5.1). */
export type Claims = Readonly<Record<string, unknown>>

const MAX_TEXT = 320

/**
 * The person that claims tell of; undefined when none of them names one. Without a `user_name_claim` the name is
 * `preferred_username`, else `email`; an email that the provider calls unverified never counts. `sub` counts only where it
 * is asked for: mostly it is a number that nobody knows, and the person would be another user than elsewhere.
 */
export function personIn(claims: Claims, source: Pick<OidcSource, 'user_name_claim'>): Person | undefined {
  const email = claims['email_verified'] === false ? undefined : textOf(claims['email'])
  const valueOf = (name: string) => (name === 'email' ? email : textOf(claims[name]))
  const names = source.user_name_claim === null ? ['preferred_username', 'email'] : [source.user_name_claim]
  const userName = names.map(valueOf).find((value) => value !== undefined)
  return userName === undefined
    ? undefined
    : { user_name: userName, display_name: textOf(claims['name']), email }
}

function textOf(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value.trim() : ''
  return text === '' || text.length > MAX_TEXT || /\p{Cc}/u.test(text) ? undefined : text
}
