/** Most parts of a version that count, and most digits of one. */
const MAX_PARTS = 8
const MAX_DIGITS = 9
const MAX_LETTERS = 5
const LETTERS = 27

const PART = /\d+|[a-z]+/g

/**
 * A version as numbers that compare part by part: "17.0.1 (a)" comes after "17.0.1", and "9" before "17". Numbers that are left
 * out are 0. Empty when it does not begin with a number.
 */
export function versionParts(text: string): number[] {
  if (!/^\s*\d/.test(text)) return []
  const parts = text.toLowerCase().match(PART) ?? []
  const letters = parts.findIndex((part) => !isNumber(part))
  const numbers = (letters < 0 ? parts : parts.slice(0, letters)).slice(0, MAX_PARTS).map(numberOf)
  const rest = (letters < 0 ? [] : parts.slice(letters)).slice(0, MAX_PARTS).map(numberOf)
  return [...numbers, ...Array.from({ length: MAX_PARTS - numbers.length }, () => 0), ...rest]
}

/** A build, such as 22H730a, as numbers that compare part by part. Empty when it does not begin with a number. */
export function buildParts(text: string): number[] {
  if (!/^\s*\d/.test(text)) return []
  return (text.toLowerCase().match(PART) ?? []).slice(0, MAX_PARTS).map(numberOf)
}

function isNumber(part: string): boolean {
  return part.charCodeAt(0) < 0x3a
}

/** Fits an integer of the database. */
function numberOf(part: string): number {
  if (isNumber(part)) {
    const digits = part.replace(/^0+/, '')
    return digits.length > MAX_DIGITS ? 10 ** MAX_DIGITS : Number(digits)
  }
  let value = 0
  for (const letter of part.slice(0, MAX_LETTERS).padEnd(MAX_LETTERS, '`'))
    value = value * LETTERS + (letter.charCodeAt(0) - 0x60)
  return value
}
