import { readDocumentEnd, readProlog, skipMisc } from './xml-misc.ts'
import { parseData, parseDate, parseInteger, parseReal } from './xml-scalars.ts'
import { closeTag, createXmlCursor, fail, isSpace, readText, type XmlCursor } from './xml-text.ts'
import { createDict, type PlistDict, type PlistLimits, type PlistValue } from './value.ts'

const SLASH = 0x2f
const GREATER = 0x3e

/** Reads the XML form from its decoded text, in one pass. `wide` says that it came as UTF-16. */
export function readXmlPlist(text: string, limits: PlistLimits, wide: boolean): PlistValue {
  const cursor = createXmlCursor(text, limits, wide)
  readProlog(cursor)
  skipMisc(cursor)
  const value = readValue(cursor, 1)
  skipMisc(cursor)
  readDocumentEnd(cursor)
  return value
}

/** Reads the element at the cursor, which must be a value. */
function readValue(cursor: XmlCursor, depth: number): PlistValue {
  if (++cursor.nodes > cursor.limits.maxNodes) fail(cursor, `more than ${cursor.limits.maxNodes} values`)
  const { text, pos } = cursor
  switch (text.charCodeAt(pos + 1)) {
    case 0x73: // s
      return openTag(cursor, 'string') ? readText(cursor, 'string') : ''
    case 0x64: // d
      return readAtD(cursor, depth)
    case 0x61: // a
      return readArray(cursor, depth)
    case 0x74: // t
      return readFlag(cursor, 'true')
    case 0x66: // f
      return readFlag(cursor, 'false')
    case 0x69: // i
      return parseInteger(cursor, openTag(cursor, 'integer') ? readText(cursor, 'integer') : '', pos)
    case 0x72: // r
      return parseReal(cursor, openTag(cursor, 'real') ? readText(cursor, 'real') : '', pos)
    default:
      return unexpected(cursor)
  }
}

/** `dict`, `data` or `date`. */
function readAtD(cursor: XmlCursor, depth: number): PlistValue {
  const { text, pos } = cursor
  if (text.charCodeAt(pos + 2) === 0x69) return readDict(cursor, depth)
  if (text.startsWith('ta', pos + 3)) {
    return parseData(cursor, openTag(cursor, 'data') ? readText(cursor, 'data') : '', pos)
  }
  return parseDate(cursor, openTag(cursor, 'date') ? readText(cursor, 'date') : '', pos)
}

function readDict(cursor: XmlCursor, depth: number): PlistDict {
  const dict = createDict()
  if (!openTag(cursor, 'dict')) return dict
  checkDepth(cursor, depth)
  for (;;) {
    skipMisc(cursor)
    if (isClosing(cursor)) break
    const key = openTag(cursor, 'key') ? readText(cursor, 'key') : ''
    skipMisc(cursor)
    if (isClosing(cursor)) fail(cursor, 'a key without value')
    dict[key] = readValue(cursor, depth + 1)
  }
  closeTag(cursor, 'dict')
  return dict
}

function readArray(cursor: XmlCursor, depth: number): PlistValue[] {
  const array: PlistValue[] = []
  if (!openTag(cursor, 'array')) return array
  checkDepth(cursor, depth)
  for (;;) {
    skipMisc(cursor)
    if (isClosing(cursor)) break
    array.push(readValue(cursor, depth + 1))
  }
  closeTag(cursor, 'array')
  return array
}

function readFlag(cursor: XmlCursor, name: 'true' | 'false'): boolean {
  if (openTag(cursor, name)) {
    skipMisc(cursor)
    closeTag(cursor, name)
  }
  return name === 'true'
}

function checkDepth(cursor: XmlCursor, depth: number): void {
  if (depth > cursor.limits.maxDepth) fail(cursor, `nested deeper than ${cursor.limits.maxDepth}`)
}

function isClosing(cursor: XmlCursor): boolean {
  return cursor.text.charCodeAt(cursor.pos + 1) === SLASH
}

/** Takes the start tag of that name; true when content and an end tag follow, false for an empty element. */
function openTag(cursor: XmlCursor, name: string): boolean {
  const { text } = cursor
  if (!text.startsWith(name, cursor.pos + 1)) unexpected(cursor)
  let pos = cursor.pos + 1 + name.length
  while (isSpace(text.charCodeAt(pos))) pos++
  const empty = text.charCodeAt(pos) === SLASH
  if (text.charCodeAt(empty ? pos + 1 : pos) !== GREATER) unexpected(cursor)
  cursor.pos = pos + (empty ? 2 : 1)
  return !empty
}

function unexpected(cursor: XmlCursor): never {
  const { text, pos } = cursor
  if (pos >= text.length) fail(cursor, 'the document ends too early')
  if (text.charCodeAt(pos) !== 0x3c) fail(cursor, 'text outside of a value')
  const name = /^<[/!?]?[\w:.-]{0,20}/.exec(text.slice(pos, pos + 24))
  return fail(cursor, `unexpected ${JSON.stringify(name?.[0] ?? '<')}`)
}
