import { asRecord } from './answer-values.ts'

const MAX_ERROR_BODY = 16_384
const MAX_CODE = 100
const MAX_ERROR_DEPTH = 6
const MAX_TEXTS = 200

/** Codes on which something depends, the most telling first; a body may hold several. */
const TELLING = ['T_C_NOT_SIGNED', 'EXPIRED_CURSOR', 'INVALID_CURSOR', 'EXHAUSTED_CURSOR', 'CURSOR_REQUIRED']
/** These two are also what any gateway on the way writes on its pages. */
const COMMON_CODES = ['ACCESS_DENIED', 'FORBIDDEN']
const OTHER_NAMES: Readonly<Record<string, string>> = {
  TC_NOT_SIGNED: 'T_C_NOT_SIGNED',
  T_AND_C_NOT_SIGNED: 'T_C_NOT_SIGNED',
  TERMS_NOT_SIGNED: 'T_C_NOT_SIGNED',
  TERMS_AND_CONDITIONS_NOT_SIGNED: 'T_C_NOT_SIGNED',
}
/** Where the code of an error stands, in the names of services like this one. */
const KEYS = ['code', 'error', 'error_code', 'errorCode', 'errors', 'message', 'error_description', 'reason']

/**
 * Apple's word in an error body: bare, in double quotes, or somewhere in JSON (`code`, `error`, a list of `errors`), in a
 * sentence or a page, in any case and with `-`, `&` or a space for `_`. Where there are several, that on which something depends.
 */
export function appleCodeOf(body: Buffer): string | undefined {
  const text = body
    .toString('utf8', 0, MAX_ERROR_BODY)
    .replace(/^\uFEFF/, '')
    .trim()
  const value = parsed(text)
  const texts = value === undefined ? [text] : textsIn(value)
  const inside = texts.map(plain)
  const known = text.startsWith('<') ? TELLING : [...TELLING, ...COMMON_CODES]
  const deciding = known.find((code) => inside.some((words) => words.includes(`_${code}_`)))
  return deciding ?? texts.find(isCode)?.trim()
}

function isCode(text: string): boolean {
  return text.length <= MAX_CODE && /^\s*[A-Za-z][\w .-]*$/.test(text)
}

/** In capitals, one `_` between words and around all of them, other names of a code replaced. */
function plain(text: string): string {
  const words = `_${text.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_`.replace(/__+/g, '_')
  const other = Object.keys(OTHER_NAMES).find((name) => words.includes(`_${name}_`))
  return other === undefined ? words : `${words}${OTHER_NAMES[other]}_`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The texts of a JSON value, those under the usual keys first. */
function textsIn(value: unknown): string[] {
  const found: string[] = []
  const visit = (at: unknown, depth: number): void => {
    if (found.length >= MAX_TEXTS || depth > MAX_ERROR_DEPTH) return
    if (typeof at === 'string') found.push(at)
    const record = asRecord(at)
    if (record !== undefined) {
      const usual = KEYS.filter((key) => Object.hasOwn(record, key))
      const names = [...usual, ...Object.keys(record).filter((key) => !usual.includes(key))]
      for (const name of names) visit(record[name], depth + 1)
    } else if (Array.isArray(at)) {
      for (const item of at) visit(item, depth + 1)
    }
  }
  visit(value, 0)
  return found
}
