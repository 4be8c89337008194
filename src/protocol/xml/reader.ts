import { isUtf8 } from 'node:buffer'
import { AppError } from '../../kernel/errors.ts'
import { isSpace, resolveReference } from '../plist/xml-text.ts'
import { resolvePrefix, type Scope, type XmlAttribute, type XmlElement } from './element.ts'
import { fitsXml } from './text.ts'

const MAX_XML_BYTES = 1024 * 1024
const MAX_XML_DEPTH = 64
const MAX_XML_ELEMENTS = 20_000
const MAX_ATTRIBUTES = 64

const XML_NAME = /[\p{L}_][\p{L}\p{N}._\-\u00B7]*(?::[\p{L}_][\p{L}\p{N}._\-\u00B7]*)?/uy
const XMLNS = 'http://www.w3.org/2000/xmlns/'
const XML = 'http://www.w3.org/XML/1998/namespace'

interface Cursor {
  readonly text: string
  pos: number
  elements: number
}

/**
 * Reads an XML document (UTF-8) with its namespaces. Refused are document types, and with them every entity but the five of
 * XML itself; undeclared prefixes; more than 1 MiB, 64 levels, 20,000 elements or 64 attributes. Comments and processing
 * instructions are passed over. Refuses
 * `xml_invalid` with the reason, which never repeats what the document says.
 */
export function parseXml(bytes: Uint8Array): XmlElement {
  if (bytes.length > MAX_XML_BYTES) throw refusal(`more than ${MAX_XML_BYTES} bytes`)
  if (!isUtf8(bytes)) throw refusal('no valid UTF-8')
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
  if (!fitsXml(text)) throw refusal('a character that XML does not allow')
  const cursor: Cursor = { text, pos: 0, elements: 0 }
  skipDeclaration(cursor)
  skipMisc(cursor)
  if (text[cursor.pos] !== '<') throw refusal('no element')
  const root = readElement(cursor, undefined, 1)
  skipMisc(cursor)
  if (cursor.pos !== text.length) throw refusal('something follows the document')
  return root
}

function skipDeclaration(cursor: Cursor): void {
  const declaration = /^<\?xml\s[^<>?]{0,200}\?>/.exec(cursor.text)?.[0]
  if (declaration === undefined) return
  const encoding = /\sencoding\s*=\s*["']([^"']*)["']/.exec(declaration)?.[1]
  if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) throw refusal('no UTF-8')
  cursor.pos = declaration.length
}

/** White space, comments and processing instructions between elements. */
function skipMisc(cursor: Cursor): void {
  for (;;) {
    while (isSpace(cursor.text.charCodeAt(cursor.pos))) cursor.pos++
    if (!skipAside(cursor)) return
  }
}

/** Takes a comment or a processing instruction, if one is there. */
function skipAside(cursor: Cursor): boolean {
  const { text, pos } = cursor
  if (text.startsWith('<!--', pos)) {
    const end = text.indexOf('--', pos + 4)
    if (end === -1 || text[end + 2] !== '>') throw refusal('a comment is not well-formed')
    cursor.pos = end + 3
    return true
  }
  if (text.startsWith('<?', pos)) {
    const end = text.indexOf('?>', pos + 2)
    if (end === -1) throw refusal('a processing instruction is not closed')
    cursor.pos = end + 2
    return true
  }
  if (text.startsWith('<!DOCTYPE', pos)) throw refusal('a document type')
  return false
}

function readElement(cursor: Cursor, outer: Scope | undefined, depth: number): XmlElement {
  if (depth > MAX_XML_DEPTH) throw refusal(`nested more than ${MAX_XML_DEPTH} deep`)
  if (++cursor.elements > MAX_XML_ELEMENTS) throw refusal(`more than ${MAX_XML_ELEMENTS} elements`)
  cursor.pos++
  const tag = readName(cursor)
  const { raw, closed } = readAttributes(cursor)
  const scope = scopeOf(raw, outer)
  const { namespace, name } = expand(tag, scope)
  const attributes = qualify(raw, scope)
  const content = closed ? { text: '', children: [] } : readContent(cursor, scope, depth, tag)
  return { namespace, name, attributes, scope, ...content }
}

function readContent(cursor: Cursor, scope: Scope, depth: number, tag: string) {
  const children: XmlElement[] = []
  const pieces: string[] = []
  for (;;) {
    const open = cursor.text.indexOf('<', cursor.pos)
    if (open === -1) throw refusal('the document ends too early')
    if (open > cursor.pos) pieces.push(readRun(cursor.text.slice(cursor.pos, open)))
    cursor.pos = open
    if (cursor.text[open + 1] === '/') break
    if (cursor.text.startsWith('<![CDATA[', open)) pieces.push(readCdata(cursor))
    else if (!skipAside(cursor)) children.push(readElement(cursor, scope, depth + 1))
  }
  cursor.pos += 2
  if (readName(cursor) !== tag) throw refusal('an end tag that does not fit')
  skipSpace(cursor)
  if (cursor.text[cursor.pos++] !== '>') throw refusal('an end tag that is not closed')
  return { children, text: pieces.join('') }
}

function readRun(run: string): string {
  if (run.includes(']]>')) throw refusal(']]> in text')
  return resolveReferences(run)
}

function readCdata(cursor: Cursor): string {
  const end = cursor.text.indexOf(']]>', cursor.pos)
  if (end === -1) throw refusal('CDATA is not closed')
  const content = cursor.text.slice(cursor.pos + 9, end)
  cursor.pos = end + 3
  return content
}

function readName(cursor: Cursor): string {
  XML_NAME.lastIndex = cursor.pos
  const name = XML_NAME.exec(cursor.text)?.[0]
  if (name === undefined) throw refusal('no name where one must be')
  cursor.pos += name.length
  return name
}

function skipSpace(cursor: Cursor): boolean {
  const from = cursor.pos
  while (isSpace(cursor.text.charCodeAt(cursor.pos))) cursor.pos++
  return cursor.pos > from
}

/** The attributes as written, and whether the tag closes itself; the cursor is behind the tag. */
function readAttributes(cursor: Cursor): { raw: Map<string, string>; closed: boolean } {
  const raw = new Map<string, string>()
  for (;;) {
    const spaced = skipSpace(cursor)
    const { text, pos } = cursor
    const closed = text.startsWith('/>', pos)
    if (closed || text[pos] === '>') {
      cursor.pos = pos + (closed ? 2 : 1)
      return { raw, closed }
    }
    if (!spaced) throw refusal('a tag that is not well-formed')
    const name = readName(cursor)
    if (raw.has(name)) throw refusal('an attribute that is there twice')
    if (raw.size === MAX_ATTRIBUTES) throw refusal(`more than ${MAX_ATTRIBUTES} attributes`)
    raw.set(name, readAttributeValue(cursor))
  }
}

function readAttributeValue(cursor: Cursor): string {
  skipSpace(cursor)
  if (cursor.text[cursor.pos++] !== '=') throw refusal('an attribute without value')
  skipSpace(cursor)
  const quote = cursor.text[cursor.pos]
  if (quote !== '"' && quote !== "'") throw refusal('an attribute without quotes')
  const end = cursor.text.indexOf(quote, cursor.pos + 1)
  if (end === -1) throw refusal('an attribute that is not closed')
  const value = cursor.text.slice(cursor.pos + 1, end)
  if (value.includes('<')) throw refusal('< in an attribute')
  cursor.pos = end + 1
  return resolveReferences(value.replace(/[\n\t]/g, ' '))
}

function resolveReferences(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&([^;&]{0,16};)?/g, (_, name: string | undefined) => {
    const resolved = name === undefined ? undefined : resolveReference(name.slice(0, -1))
    if (resolved === undefined || !fitsXml(resolved)) throw refusal('an entity that is not known')
    return resolved
  })
}

function scopeOf(raw: ReadonlyMap<string, string>, outer: Scope | undefined): Scope {
  const prefixes = new Map<string, string>()
  for (const [name, value] of raw) {
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) continue
    const prefix = name.slice('xmlns:'.length)
    const reserved = prefix === 'xmlns' || value === XMLNS || (prefix === 'xml') !== (value === XML)
    if (reserved || (prefix !== '' && value === '')) throw refusal('a namespace that cannot be declared')
    prefixes.set(prefix, value)
  }
  return prefixes.size === 0 && outer !== undefined ? outer : { prefixes, outer }
}

function qualify(raw: ReadonlyMap<string, string>, scope: Scope): XmlAttribute[] {
  const attributes: XmlAttribute[] = []
  for (const [written, value] of raw) {
    if (written === 'xmlns' || written.startsWith('xmlns:')) continue
    const { namespace, name } = written.includes(':')
      ? expand(written, scope)
      : { namespace: '', name: written }
    // Not by a key made of both: a long namespace would be copied for each of many attributes.
    if (attributes.some((each) => each.name === name && each.namespace === namespace))
      throw refusal('an attribute that is there twice')
    attributes.push({ namespace, name, value })
  }
  return attributes
}

function expand(written: string, scope: Scope): { namespace: string; name: string } {
  const colon = written.indexOf(':')
  const namespace = resolvePrefix(scope, colon === -1 ? '' : written.slice(0, colon))
  if (namespace === undefined) throw refusal('a prefix that is not declared')
  return { namespace, name: written.slice(colon + 1) }
}

function refusal(reason: string): AppError {
  return new AppError('xml_invalid', reason)
}
