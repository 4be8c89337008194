import { NAME_PATTERN, UNSEEN } from '../../kernel/names.ts'

/** Unicode's full case folding leaves it alone, but its upper case is I: it would become an i. */
const DOTLESS_I = 'ı'

/** Most characters of a user name. */
export const MAX_USER_NAME = 255

const USER_NAME = new RegExp(NAME_PATTERN, 'u')

/** Most characters of a display name. */
export const MAX_DISPLAY_NAME = 255

/** Most characters of an email address. */
export const MAX_EMAIL = 320

/** Most characters of the name that a sign-in source has for somebody. */
export const MAX_SUBJECT = 320

/** What an email address looks like, as a regular expression. */
export const EMAIL_PATTERN = String.raw`^[^\s@${UNSEEN}]+@[^\s@${UNSEEN}]+$`

const EMAIL = new RegExp(EMAIL_PATTERN, 'u')

/** Whether this can be an email address. */
export function isEmail(text: string): boolean {
  return text.length <= MAX_EMAIL && EMAIL.test(text)
}

/** Whether this can be the name of a user. */
export function isUserName(text: string): boolean {
  return text.length <= MAX_USER_NAME && USER_NAME.test(text)
}

/**
 * The form in which user names are compared: without space around them, in NFC and case-folded (Unicode, section 3.13,
 * full folding: `Straße` is `STRASSE`), so that one person is one user whatever the spelling or source.
 */
export function userNameKey(userName: string): string {
  const folded = Array.from(userName.trim().normalize('NFC').toWellFormed(), fold).join('')
  return folded.normalize('NFC')
}

/** Character by character, as a final sigma has its own lower case; twice, for letters without an upper case of their own. */
function fold(character: string): string {
  return character === DOTLESS_I ? character : lower(lower(character).toUpperCase())
}

function lower(text: string): string {
  return Array.from(text, (character) => character.toLowerCase()).join('')
}

/** The form in which what a directory calls somebody is compared: a name whatever its case, anything else as it is. */
export function directorySubject(text: string): string {
  return /[@\\]/.test(text) ? userNameKey(text) : text
}

/** The form in which the name that a source of this kind has for somebody is compared; undefined where it vouches for nobody. */
export function subjectAt(kind: 'local' | 'ws_trust' | 'oidc', subject: string): string | undefined {
  if (kind === 'local') return undefined
  return kind === 'ws_trust' ? directorySubject(subject) : subject
}
