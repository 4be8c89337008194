import { randomBytes } from 'node:crypto'
import { build, parse } from 'plist'
import { AppError } from '../../kernel/errors.ts'
import { isDict, parsePlist, textOfPlist, type PlistValue } from '../plist/index.ts'
import { plainXml } from './plain-xml.ts'
import { isProfileDict, newProfileDict, WrittenNumber, type ProfileDict, type ProfileValue } from './tree.ts'

/** The largest profile that a setting may let in, and some room for its signature. */
const MAX_BYTES = 50 * 1024 * 1024
/** Values and keys of one profile: `plist` takes some 50 microseconds for each. */
const MAX_VALUES = 50_000
const MAX_DEPTH = 32
/** What no XML can carry; `plist` would write some of it. */
// oxlint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

/**
 * Reads a property list, XML by `plist` and binary by the reader of ours, whose root must be a dictionary. Ours has read the
 * XML before, which knows no entities and has limits on depth, size and count; numbers come as they were written.
 * Throws `plist_invalid`.
 */
export function readProfilePlist(bytes: Uint8Array): ProfileDict {
  const mark = newMark()
  const limits = { maxBytes: MAX_BYTES, maxDepth: MAX_DEPTH, maxNodes: MAX_VALUES }
  const checked = parsePlist(bytes, limits, (real) => `${mark}r${realText(real)}`)
  const text = textOfPlist(bytes)
  const root = text === undefined ? checked : readXml(text, mark)
  const value = restore(root, mark)
  if (!isProfileDict(value)) throw new AppError('plist_invalid', 'The property list is not a dictionary')
  return value
}

function readXml(text: string, mark: string): PlistValue {
  try {
    return parse(plainXml(text, mark)) as PlistValue
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('plist_invalid', error instanceof Error ? error.message : String(error))
  }
}

/** Writes it by `plist`. What is no text of XML must not be in it: `readProfilePlist` has refused that. */
export function writeProfilePlist(value: ProfileValue): string {
  const mark = newMark()
  const written = build(hide(value, mark) as Parameters<typeof build>[0], { pretty: true, indent: '\t' })
  return reveal(written, mark)
}

/** Stands before what is no text and is carried as one; nobody can know it before. */
function newMark(): string {
  return `n${randomBytes(12).toString('hex')}.`
}

function realText(real: number): string {
  if (Number.isNaN(real)) return 'nan'
  if (Number.isFinite(real)) return String(real)
  return real > 0 ? '+infinity' : '-infinity'
}

function restore(value: PlistValue, mark: string): ProfileValue {
  if (typeof value === 'string') return restoreText(value, mark)
  if (typeof value === 'number' || typeof value === 'bigint')
    return new WrittenNumber('integer', String(value))
  if (typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map((item) => restore(item, mark))
  if (!isDict(value)) return value
  const dict = newProfileDict()
  for (const [key, member] of Object.entries(value)) dict[checkText(key)] = restore(member, mark)
  return dict
}

function restoreText(text: string, mark: string): string | WrittenNumber {
  if (!text.startsWith(mark)) return checkText(text)
  const kind = text.charAt(mark.length) === 'r' ? 'real' : 'integer'
  return new WrittenNumber(kind, text.slice(mark.length + 1).trim())
}

function checkText(text: string): string {
  const found = UNWRITABLE.exec(text)
  if (found === null && text.isWellFormed()) return text
  const code = found?.[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()
  throw new AppError('plist_invalid', `A text holds ${code ? `U+${code}` : 'half a character'}`)
}

function hide(value: ProfileValue, mark: string): unknown {
  if (value instanceof WrittenNumber) return `${mark}${value.kind === 'real' ? 'r' : 'i'}${value.text}`
  if (Array.isArray(value)) return value.map((item) => hide(item, mark))
  if (!isProfileDict(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, hide(member, mark)]))
}

/** Every marked text in its own element again. */
function reveal(xml: string, mark: string): string {
  const [first = '', ...others] = xml.split(`<string>${mark}`)
  return others.reduce((before, piece) => {
    const end = piece.indexOf('</string>')
    const name = piece.startsWith('r') ? 'real' : 'integer'
    return `${before}<${name}>${piece.slice(1, end)}</${name}>${piece.slice(end + '</string>'.length)}`
  }, first)
}
