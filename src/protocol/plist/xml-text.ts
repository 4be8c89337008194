import { refuse, type PlistLimits } from './value.ts'

/** Where the reader of the XML form stands. */
export interface XmlCursor {
  readonly text: string
  readonly limits: PlistLimits
  /** The document came as UTF-16: two bytes for each unit of `text`. */
  readonly wide: boolean
  pos: number
  nodes: number
  /** The first `&` and the first carriage return at or after the last text; looked up again only when passed. */
  nextReference: number
  nextReturn: number
}

/** A cursor before the first character, or behind the byte order mark. */
export function createXmlCursor(text: string, limits: PlistLimits, wide: boolean): XmlCursor {
  const pos = text.charCodeAt(0) === 0xfeff ? 1 : 0
  return { text, limits, wide, pos, nodes: 0, nextReference: -1, nextReturn: -1 }
}

/** Refuses the document with the byte offset of a position. */
export function fail(cursor: XmlCursor, reason: string, pos: number = cursor.pos): never {
  refuse(reason, cursor.wide ? pos * 2 : Buffer.byteLength(cursor.text.slice(0, pos)))
}

/** Whether a UTF-16 unit is white space of XML. */
export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d
}

/** Takes the end tag of that name. */
export function closeTag(cursor: XmlCursor, name: string): void {
  const { text } = cursor
  let pos = cursor.pos + 2
  const matches = text.charCodeAt(pos - 1) === 0x2f && text.startsWith(name, pos)
  pos += name.length
  while (isSpace(text.charCodeAt(pos))) pos++
  if (!matches || text.charCodeAt(pos) !== 0x3e) fail(cursor, `</${name}> is missing`)
  cursor.pos = pos + 1
}

/** Reads text up to and including the end tag of that name; comments in it are dropped, CDATA is taken as it is. */
export function readText(cursor: XmlCursor, name: string): string {
  let result = readRun(cursor)
  while (cursor.text.charCodeAt(cursor.pos + 1) === 0x21) result += readDeclaration(cursor) + readRun(cursor)
  closeTag(cursor, name)
  return result
}

/** The text up to the next `<`, with references resolved and line ends normalised (XML 1.0, section 2.11). */
function readRun(cursor: XmlCursor): string {
  const { text, pos } = cursor
  const end = text.indexOf('<', pos)
  if (end === -1) fail(cursor, 'the document ends too early', text.length)
  cursor.pos = end
  if (end === pos) return ''
  if (cursor.nextReturn < pos) cursor.nextReturn = indexOrEnd(text, '\r', pos)
  if (cursor.nextReference < pos) cursor.nextReference = indexOrEnd(text, '&', pos)
  let run = text.slice(pos, end)
  if (cursor.nextReturn < end) run = normaliseLineEnds(run)
  return cursor.nextReference < end ? resolveReferences(cursor, run, pos) : run
}

function indexOrEnd(text: string, char: string, from: number): number {
  const index = text.indexOf(char, from)
  return index === -1 ? text.length : index
}

function normaliseLineEnds(run: string): string {
  return run.replace(/\r\n?/g, '\n')
}

/** A CDATA section's content, or nothing for a comment. */
function readDeclaration(cursor: XmlCursor): string {
  const { text, pos } = cursor
  if (!text.startsWith('<![CDATA[', pos)) {
    skipComment(cursor)
    return ''
  }
  const end = text.indexOf(']]>', pos + 9)
  if (end === -1) fail(cursor, 'CDATA is not closed')
  cursor.pos = end + 3
  return normaliseLineEnds(text.slice(pos + 9, end))
}

/** Skips the comment at the cursor. */
export function skipComment(cursor: XmlCursor): void {
  const { text, pos } = cursor
  if (!text.startsWith('<!--', pos)) fail(cursor, 'a declaration where none may be')
  const end = text.indexOf('--', pos + 4)
  if (end === -1 || text.charCodeAt(end + 2) !== 0x3e) fail(cursor, 'the comment is not well-formed')
  cursor.pos = end + 3
}

const PREDEFINED: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

/** Longest name between `&` and `;` that is looked at: `#x0010FFFF` and some leading zeros. */
const LONGEST_REFERENCE = 16

function resolveReferences(cursor: XmlCursor, run: string, start: number): string {
  let result = ''
  let from = 0
  for (let amp = run.indexOf('&'); amp !== -1; amp = run.indexOf('&', from)) {
    const name = /^([^;&]*);/.exec(run.slice(amp + 1, amp + 2 + LONGEST_REFERENCE))?.[1]
    const resolved = name === undefined ? undefined : resolveReference(name)
    if (name === undefined || resolved === undefined) fail(cursor, 'unknown entity reference', start)
    result += run.slice(from, amp) + resolved
    from = amp + name.length + 2
  }
  return result + run.slice(from)
}

/** What `&name;` stands for: one of the five of XML, or a character by number; undefined for anything else. */
export function resolveReference(name: string): string | undefined {
  return PREDEFINED.get(name) ?? resolveNumeric(name)
}

/** The character of `#10` or `#xA`; undefined for one that no text can hold. */
function resolveNumeric(name: string): string | undefined {
  const match = /^#(?:x([0-9A-Fa-f]+)|([0-9]+))$/.exec(name)
  if (match === null) return undefined
  const code = match[1] === undefined ? Number(match[2]) : parseInt(match[1], 16)
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined
  return String.fromCodePoint(code)
}
