import { AppError } from './errors.ts'

/** Far more than any body has; what recurses over one must not run out of stack. */
const MAX_JSON_DEPTH = 64
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** A place in a JSON document (RFC 6901). */
export function jsonPointer(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The value of a JSON text from outside: UTF-8 (RFC 8259, section 8.1), with at most `maxValues` values and names and bounded depth,
 * both counted before anything is made of them; without `__proto__`, and without U+0000 and unpaired surrogates, which no
 * column can hold. Throws AppError `invalid_json`, `invalid_request` or `too_many_values`.
 */
export function parseJson(bytes: Uint8Array, maxValues: number): unknown {
  measure(bytes, maxValues)
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch (error) {
    const isText = error instanceof SyntaxError
    throw new AppError('invalid_json', isText ? undefined : 'The body is not valid UTF-8.', { cause: error })
  }
  const fault = faultOf(value)
  return fault === undefined ? value : refuse(fault)
}

/** Counts what the text would become. In a text that is no JSON it counts something, and the parser refuses it. */
function measure(bytes: Uint8Array, maxValues: number): void {
  let values = 1
  let depth = 0
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === QUOTE) at = endOfText(bytes, at)
    const opens = byte === OPEN_LIST || byte === OPEN_OBJECT
    if (opens) depth += 1
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1
    if (opens || byte === COMMA || byte === COLON) values += 1
    if (depth > MAX_JSON_DEPTH)
      throw new AppError('invalid_json', `The body is nested deeper than ${MAX_JSON_DEPTH} levels.`)
    if (values > maxValues)
      throw new AppError('too_many_values', `The body has more than ${maxValues} values and names.`)
  }
}

function endOfText(bytes: Uint8Array, start: number): number {
  let at = start + 1
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at
}

/** What makes a value unusable, and where it stands. */
type Fault = { code: 'invalid_json' | 'invalid_request'; what: string; path: string[] }

function faultOf(value: unknown): Fault | undefined {
  if (typeof value === 'string') return faultOfText(value)
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      const fault = faultOf(item)
      if (fault !== undefined) return { ...fault, path: [String(at), ...fault.path] }
    }
    return undefined
  }
  for (const [name, member] of Object.entries(value)) {
    const fault = faultOfName(name, member) ?? faultOf(member)
    if (fault !== undefined) return { ...fault, path: [name, ...fault.path] }
  }
  return undefined
}

function faultOfName(name: string, member: unknown): Fault | undefined {
  const isPrototype =
    name === '__proto__' ||
    (name === 'constructor' &&
      typeof member === 'object' &&
      member !== null &&
      Object.hasOwn(member, 'prototype'))
  return isPrototype ? { code: 'invalid_json', what: `the name ${name}`, path: [] } : faultOfText(name)
}

function faultOfText(text: string): Fault | undefined {
  const what = text.includes('\0') ? 'a U+0000' : text.isWellFormed() ? undefined : 'an unpaired surrogate'
  return what === undefined ? undefined : { code: 'invalid_request', what, path: [] }
}

function refuse({ code, what, path }: Fault): never {
  const clean = path.map((name) => name.replaceAll('\0', '\uFFFD').toWellFormed())
  throw new AppError(code, `The body has ${what} in it.`, {
    fields: [{ path: clean.join('.'), message: `has ${what} in it`, pointer: jsonPointer(clean) }],
  })
}
