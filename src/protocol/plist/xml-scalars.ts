import { narrowInteger } from './value.ts'
import { fail, type XmlCursor } from './xml-text.ts'

/** Longest number or date that is looked at; the patterns below are then cheap whatever they are given. */
const LONGEST_NUMBER = 128

/** `<integer>`: decimal, or hexadecimal as Apple's reader takes it, of at most 64 bits. */
export function parseInteger(cursor: XmlCursor, text: string, pos: number): number | bigint {
  if (/^-?[0-9]{1,15}$/.test(text)) return Number(text) || 0
  const [, sign, digits] = /^\s*([+-]?)(0[xX][0-9A-Fa-f]+|[0-9]+)\s*$/.exec(short(text)) ?? []
  if (digits === undefined) fail(cursor, 'not an integer', pos)
  return narrowInteger(sign === '-' ? -BigInt(digits) : BigInt(digits), pos)
}

/** `<real>`: as Apple writes it, with `nan` and infinities. */
export function parseReal(cursor: XmlCursor, text: string, pos: number): number {
  const trimmed = short(text).trim()
  if (/^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(trimmed)) return Number(trimmed)
  const [, sign, word] = /^([+-]?)(nan|inf|infinity)$/i.exec(trimmed) ?? []
  if (word === undefined) fail(cursor, 'not a real number', pos)
  if (word.toLowerCase() === 'nan') return NaN
  return sign === '-' ? -Infinity : Infinity
}

function short(text: string): string {
  return text.length > LONGEST_NUMBER ? '' : text
}

/** `<date>`: YYYY-MM-DDTHH:MM:SSZ and no other form. */
export function parseDate(cursor: XmlCursor, text: string, pos: number): Date {
  const match = /^\s*(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z\s*$/.exec(short(text))
  if (match === null) fail(cursor, 'not a date', pos)
  const date = new Date(text.trim())
  // The engine takes 30 February for 2 March, and hour 24.
  const exact = !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 19) === text.trim().slice(0, 19)
  return exact ? date : fail(cursor, 'not a date', pos)
}

/** `<data>`: base64 with white space; padding may be missing. */
export function parseData(cursor: XmlCursor, text: string, pos: number): Buffer<ArrayBuffer> {
  try {
    return Buffer.from(atob(text), 'latin1')
  } catch {
    return fail(cursor, 'not base64', pos)
  }
}
