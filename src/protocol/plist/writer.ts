import { AppError } from '../../kernel/errors.ts'
import { DEFAULT_LIMITS, isDict, MAX_INTEGER, MIN_INTEGER, type PlistValue } from './value.ts'

const HEADER = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`

/** What {@link writePlist} takes: a value whose dictionaries may have undefined members, which are left out. */
export type WritablePlist =
  | Exclude<PlistValue, object>
  | Date
  | Uint8Array
  | readonly WritablePlist[]
  | { readonly [key: string]: WritablePlist | undefined }

/**
 * Writes an XML property list with Apple's DOCTYPE, dictionaries in the order given. Integers within the safe range
 * and bigints become `<integer>`, other numbers `<real>`; dates lose their milliseconds; a carriage return is
 * written as a reference, so that it survives.
 *
 * Throws `plist_invalid`, naming the path, for what the format cannot carry: null, NaN, infinities, integers beyond
 * 64 bits, years outside of 0 to 9999, lone surrogates and control characters, nesting deeper than 64.
 */
export function writePlist(value: WritablePlist): string {
  return `${HEADER}${writeValue(value, '', '', 1)}</plist>\n`
}

function writeValue(value: WritablePlist, indent: string, path: string, depth: number): string {
  switch (typeof value) {
    case 'string':
      return `${indent}<string>${escapeText(value, path)}</string>\n`
    case 'boolean':
      return `${indent}<${value}/>\n`
    case 'number':
      return `${indent}${writeNumber(value, path)}\n`
    case 'bigint':
      if (value < MIN_INTEGER || value > MAX_INTEGER) refuse(path, 'integer out of range')
      return `${indent}<integer>${value}</integer>\n`
    case 'object':
      return value === null ? refuse(path, 'null cannot be written') : writeObject(value, indent, path, depth)
    default:
      return refuse(path, `${typeof value} cannot be written`)
  }
}

function writeNumber(value: number, path: string): string {
  if (Number.isSafeInteger(value)) return `<integer>${value}</integer>`
  return Number.isFinite(value) ? `<real>${value}</real>` : refuse(path, 'not a finite number')
}

function writeObject(value: WritablePlist & object, indent: string, path: string, depth: number): string {
  if (value instanceof Uint8Array) return `${indent}<data>${Buffer.from(value).toString('base64')}</data>\n`
  if (value instanceof Date) return `${indent}<date>${writeDate(value, path)}</date>\n`
  if (depth > DEFAULT_LIMITS.maxDepth) refuse(path, `nested deeper than ${DEFAULT_LIMITS.maxDepth}`)
  const inner = `${indent}\t`
  let content = ''
  if (!isDict(value)) {
    const items = value as readonly WritablePlist[]
    for (let i = 0; i < items.length; i++) {
      content += writeValue(items[i] as WritablePlist, inner, `${path}[${i}]`, depth + 1)
    }
    return content === '' ? `${indent}<array/>\n` : `${indent}<array>\n${content}${indent}</array>\n`
  }
  for (const [key, member] of Object.entries<WritablePlist | undefined>(value)) {
    if (member === undefined) continue
    const name = path === '' ? key : `${path}.${key}`
    content += `${inner}<key>${escapeText(key, name)}</key>\n${writeValue(member, inner, name, depth + 1)}`
  }
  return content === '' ? `${indent}<dict/>\n` : `${indent}<dict>\n${content}${indent}</dict>\n`
}

function writeDate(value: Date, path: string): string {
  const text = Number.isNaN(value.getTime()) ? '' : value.toISOString()
  return /^\d{4}-/.test(text) ? `${text.slice(0, 19)}Z` : refuse(path, 'not a date that can be written')
}

// eslint-disable-next-line no-control-regex
const SPECIAL = /[&<>\u0000-\u0008\u000b-\u001f\ufffe\uffff]/
const EVERY_SPECIAL = new RegExp(SPECIAL, 'g')

function escapeText(text: string, path: string): string {
  if (!text.isWellFormed()) refuse(path, 'a lone surrogate cannot be written')
  // Nearly no text has any of them, and looking is much cheaper than replacing.
  return SPECIAL.test(text) ? text.replace(EVERY_SPECIAL, (char) => escapeCharacter(char, path)) : text
}

function escapeCharacter(char: string, path: string): string {
  if (char === '&') return '&amp;'
  if (char === '<') return '&lt;'
  if (char === '>') return '&gt;'
  if (char === '\r') return '&#13;'
  const code = char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  return refuse(path, `the character U+${code} cannot be written`)
}

function refuse(path: string, reason: string): never {
  throw new AppError('plist_invalid', path === '' ? reason : `${path}: ${reason}`)
}
