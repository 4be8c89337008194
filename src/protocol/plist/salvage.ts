import { AppError } from '../../kernel/errors.ts'
import { salvageBinaryPlist } from './binary-reader.ts'
import { createDict, DEFAULT_LIMITS, type PlistDict, type PlistValue } from './value.ts'
import { nextTag, readSalvagedText, skipElement, type SalvageCursor, type Tag } from './xml-salvage.ts'
import { parseData, parseDate, parseInteger, parseReal } from './xml-scalars.ts'
import { createXmlCursor } from './xml-text.ts'

/** A dictionary of which not all could be read: what could not is null at its top, and left out further down. */
export type SalvagedDict = Record<string, PlistValue | null>

/** Values that may fail before no further number, date or data is tried: a failure costs as much as a thousand values. */
const MOST_FAILURES = 1_000
/** For the readers of scalars, which say where they fail: nobody asks. */
const NOWHERE = createXmlCursor('', DEFAULT_LIMITS, false)

/**
 * Reads what can be read of a property list that `parsePlist` refuses, in one pass whatever it holds: values that are
 * none, elements that nobody knows, end tags that are missing, too deep a nesting, too many values and all that follows a
 * broken end cost only themselves. Bytes that are no text become U+FFFD. Undefined when there is no dictionary.
 */
export function salvagePlist(bytes: Uint8Array): SalvagedDict | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.toString('latin1', 0, 6) === 'bplist') return salvageBinaryPlist(buffer, DEFAULT_LIMITS)
  const cursor: SalvageCursor = {
    text: decode(buffer),
    pos: 0,
    nodes: 0,
    failures: 0,
    isFull: false,
    open: [],
  }
  for (;;) {
    const tag = nextTag(cursor)
    if (tag === undefined || tag.name === 'array') return undefined
    cursor.pos = tag.end
    if (tag.kind === 'open' && tag.name === 'dict') return readDict(cursor, 1)
  }
}

function decode(buffer: Buffer): string {
  const mark = buffer.length >= 2 ? buffer.readUInt16BE(0) : 0
  if (mark === 0xfffe) return buffer.toString('utf16le').toWellFormed()
  if (mark === 0xfeff) {
    const even = buffer.subarray(0, buffer.length - (buffer.length % 2))
    return Buffer.from(even).swap16().toString('utf16le').toWellFormed()
  }
  return buffer.toString('utf8')
}

/** Reads the members of a dictionary whose start tag was taken. */
function readDict(cursor: SalvageCursor, depth: number): PlistDict {
  const dict = createDict()
  cursor.open.push('dict')
  for (let tag = nextTag(cursor); tag !== undefined; tag = nextTag(cursor)) {
    if (tag.kind === 'close') {
      if (closes(cursor, tag)) break
    } else if (tag.name === 'key') {
      cursor.pos = tag.end
      const key = tag.kind === 'empty' ? '' : readSalvagedText(cursor, 'key')
      readMember(cursor, dict, key, depth)
    } else {
      readValue(cursor, tag, depth + 1)
    }
  }
  cursor.open.pop()
  return dict
}

/** Reads the value behind a key, if there is one. */
function readMember(cursor: SalvageCursor, dict: PlistDict, key: string | undefined, depth: number): void {
  const tag = nextTag(cursor)
  const hasValue = tag !== undefined && tag.kind !== 'close' && tag.name !== 'key'
  const before = cursor.nodes
  let value = hasValue ? readValue(cursor, tag, depth + 1) : undefined
  if (depth === 1 && cursor.isFull) {
    // Of a list that is too long a part would be taken for the whole. What follows has its chance.
    if (typeof value === 'object') value = undefined
    cursor.nodes = before
    cursor.isFull = false
  }
  if (key === undefined) return
  if (value !== undefined) dict[key] = value
  else if (depth === 1 && dict[key] === undefined) (dict as SalvagedDict)[key] = null
}

function readArray(cursor: SalvageCursor, depth: number): PlistValue[] {
  const array: PlistValue[] = []
  cursor.open.push('array')
  for (let tag = nextTag(cursor); tag !== undefined; tag = nextTag(cursor)) {
    if (tag.kind === 'close') {
      if (closes(cursor, tag)) break
    } else if (tag.name === 'key') {
      // Its end tag is missing: this is the next key of the dictionary around it.
      break
    } else {
      const value = readValue(cursor, tag, depth + 1)
      if (value !== undefined) array.push(value)
    }
  }
  cursor.open.pop()
  return array
}

/** Whether an end tag ends the innermost container: its own, which is taken, or that of one around it, which is left. */
function closes(cursor: SalvageCursor, tag: Tag): boolean {
  const innermost = cursor.open.at(-1)
  if (tag.name !== innermost && cursor.open.includes(tag.name)) return true
  cursor.pos = tag.end
  return tag.name === innermost || tag.name === 'plist'
}

/** Reads the value whose start tag is next; undefined when it cannot be read, or is not to be kept. */
function readValue(cursor: SalvageCursor, tag: Tag, depth: number): PlistValue | undefined {
  cursor.pos = tag.end
  if (++cursor.nodes > DEFAULT_LIMITS.maxNodes) cursor.isFull = true
  const value = CONTAINERS.has(tag.name) ? readContainer(cursor, tag, depth) : readSimple(cursor, tag)
  // The texts at the top say what the message is, however much there is beside them.
  return cursor.isFull && depth > 2 ? undefined : value
}

const CONTAINERS: ReadonlySet<string> = new Set(['dict', 'array'])

function readContainer(cursor: SalvageCursor, tag: Tag, depth: number): PlistValue | undefined {
  const isDict = tag.name === 'dict'
  if (tag.kind === 'empty') return isDict ? createDict() : []
  if (depth <= DEFAULT_LIMITS.maxDepth && !cursor.isFull)
    return isDict ? readDict(cursor, depth) : readArray(cursor, depth)
  skipElement(cursor, tag)
  return undefined
}

function readSimple(cursor: SalvageCursor, tag: Tag): PlistValue | undefined {
  const { name, kind } = tag
  if (name === 'true' || name === 'false') {
    if (kind === 'open') readSalvagedText(cursor, name)
    return name === 'true'
  }
  const parse = SCALARS.get(name)
  if (parse === undefined && name !== 'string') {
    skipElement(cursor, tag)
    return undefined
  }
  const text = kind === 'empty' ? '' : readSalvagedText(cursor, name)
  if (text === undefined || parse === undefined) return text
  if (cursor.failures > MOST_FAILURES) return undefined
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    cursor.failures++
    return undefined
  }
}

const SCALARS: ReadonlyMap<string, (text: string) => PlistValue> = new Map([
  ['integer', (text: string): PlistValue => parseInteger(NOWHERE, text, 0)],
  ['real', (text: string) => parseReal(NOWHERE, text, 0)],
  ['date', (text: string) => parseDate(NOWHERE, text, 0)],
  ['data', (text: string) => parseData(NOWHERE, text, 0)],
])
