import { isRecord } from '../../../kernel/records.ts'

// Values of what a device told, as JSON (see `toJson`). Devices, and what stands in for them, are not strict about types: a value
// that cannot be understood counts as not told.

/** Most UTF-16 units of a text that are kept in a column. */
const LONGEST_TEXT = 1_024
const NUMBER = /^[+-]?\d{1,15}(?:\.\d{1,15})?$/
const GREATEST_INTEGER = 2_147_483_647
const TRUE: readonly unknown[] = [true, 1, '1', 'true', 'YES']
const FALSE: readonly unknown[] = [false, 0, '0', 'false', 'NO']

/** A text that is not empty, without what no column takes, and cut where it is very long; a number as its digits. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string') return undefined
  const text = value.replaceAll('\u0000', '\uFFFD').trim().slice(0, LONGEST_TEXT).toWellFormed()
  return text === '' ? undefined : text
}

/** A finite number, or a text that is one. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'string') return NUMBER.test(value.trim()) ? Number(value) : undefined
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** A whole number that an integer column takes. */
export function integerOf(value: unknown): number | undefined {
  const number = numberOf(value)
  return number !== undefined && Number.isInteger(number) && Math.abs(number) <= GREATEST_INTEGER
    ? number
    : undefined
}

/** A truth value, also as 1 and 0. */
export function flagOf(value: unknown): boolean | undefined {
  if (TRUE.includes(value)) return true
  return FALSE.includes(value) ? false : undefined
}

/** A date, in milliseconds since 1970. */
export function dateOf(value: unknown): number | undefined {
  const time = isRecord(value) && typeof value['$date'] === 'string' ? Date.parse(value['$date']) : Number.NaN
  return Number.isFinite(time) ? time : undefined
}

/** The dictionaries of an array, or the one in the place of an array. */
export function dictsOf(value: unknown): Record<string, unknown>[] {
  if (isRecord(value)) return [value]
  return Array.isArray(value) ? value.filter(isRecord) : []
}

/** The members that are told. */
export function told<T extends Record<string, unknown>>(members: T): Told<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Told<T>
}

/** Members of which any may be missing, but none is there without a value. */
type Told<T> = { [K in keyof T]?: Exclude<T[K], undefined> }
