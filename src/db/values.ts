import { types } from 'pg'

const INT8 = 20
const DATE = 1082
const INT8_ARRAY = 1016
const DATE_ARRAY = 1182
const REPLACEMENT = '\uFFFD'

type Parse = (text: string) => unknown

// The declared ids leave the array types out.
const TEXT_ARRAY = 1009 as Parameters<typeof types.getTypeParser>[0]
const textArray = types.getTypeParser(TEXT_ARRAY, 'text') as (text: string) => (string | null)[]
const PARSERS = new Map<number, Parse>([
  [INT8, toSafeInteger],
  [INT8_ARRAY, (text) => textArray(text).map((item) => (item === null ? null : toSafeInteger(item)))],
  [DATE, (text) => text],
  [DATE_ARRAY, (text) => textArray(text)],
])

/**
 * How columns arrive, for the driver's `types` option: int8 as a number (an error beyond 2^53), timestamptz as a Date,
 * date as its text, bytea as a Buffer, json as what it says, numeric as text.
 */
export const columnTypes: { getTypeParser: typeof types.getTypeParser } = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    (format === 'binary' ? undefined : PARSERS.get(oid)) ??
    types.getTypeParser(oid, format)) as typeof types.getTypeParser,
}

/**
 * The value as text and jsonb columns take it: U+0000 and unpaired surrogates, which they refuse, become U+FFFD, also
 * in the keys and values of arrays and plain objects. Anything else (dates, buffers) is left as it is.
 */
export function withoutNul<T>(value: T): T {
  return clean(value) as T
}

/** U+0000 and unpaired surrogates as JSON.stringify writes them. */
const UNWANTED = /\\u(?:0000|d[89a-f])/

/** The JSON text of a value as json parameters take it, `withoutNul`. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  return UNWANTED.test(text) ? JSON.stringify(withoutNul(value)) : text
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', REPLACEMENT).toWellFormed()
  if (Array.isArray(value)) return value.map(clean)
  if (!isPlainObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), clean(item)]))
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function toSafeInteger(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new RangeError(`The number ${text} is too large.`)
  return number
}
