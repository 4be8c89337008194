/** Unicode's full case folding leaves it alone, but its upper case is I: it would become an i. */
const DOTLESS_I = 'ı'

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
