import type { Vouched } from '../admission.ts'
import type { OidcSource } from '../sources/types.ts'

/** Claims of a person (OpenID Connect Core 1.0, section 5.1). */
export type Claims = Readonly<Record<string, unknown>>

const MAX_TEXT = 320

/**
 * The person that claims tell of; undefined when none of them names one. Without a `user_name_claim` the name is
 * `preferred_username`, else `email`; an email counts only where the provider says that it is verified. `sub` is what the
 * provider calls the person for ever; it is their name only where that is asked for: mostly it is a number that nobody knows.
 */
export function personIn(claims: Claims, source: Pick<OidcSource, 'user_name_claim'>): Vouched | undefined {
  const subject = textOf(claims['sub'])
  const email = hasVerifiedEmail(claims) ? textOf(claims['email']) : undefined
  const valueOf = (name: string) => (name === 'email' ? email : textOf(claims[name]))
  const names = source.user_name_claim === null ? ['preferred_username', 'email'] : [source.user_name_claim]
  const userName = names.map(valueOf).find((value) => value !== undefined)
  return userName === undefined || subject === undefined
    ? undefined
    : { subject, user_name: userName, display_name: textOf(claims['name']), email }
}

/** What an id_token says and the userinfo adds; an email and whether it is verified come from the same of them. */
export function joinClaims(idToken: Claims, userInfo: Claims): Claims {
  const { email, email_verified } = hasVerifiedEmail(idToken) ? idToken : userInfo
  return { ...userInfo, ...idToken, email, email_verified }
}

/** Some providers write the boolean as a text. */
function hasVerifiedEmail({ email_verified: verified }: Claims): boolean {
  return verified === true || verified === 'true'
}

function textOf(value: unknown): string | undefined {
  const text = typeof value === 'string' ? value.trim() : ''
  const isOdd = text === '' || text.length > MAX_TEXT || /\p{Cc}/u.test(text) || !text.isWellFormed()
  return isOdd ? undefined : text
}
