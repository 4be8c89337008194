import { fail, isSpace, skipComment, type XmlCursor } from './xml-text.ts'

const XML_DECLARATION = /<\?xml(\s[^?<>]*)\?>/y
const DOCTYPE =
  /<!DOCTYPE\s+plist(?:\s+(?:PUBLIC\s*(?:"[^"<>]*"|'[^'<>]*')|SYSTEM)\s*(?:"[^"<>]*"|'[^'<>]*'))?\s*>/y
const PLIST_TAG = /<plist(?:\s+version\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))?\s*>/y
const PLIST_END = /<\/plist\s*>/y

/** Longest XML declaration, DOCTYPE or plist tag that is looked at. */
const LONGEST_TAG = 512

/** Takes the XML declaration, the DOCTYPE without internal subset, and the `plist` start tag. */
export function readProlog(cursor: XmlCursor): void {
  const declaration = take(cursor, XML_DECLARATION)
  const encoding = /\sencoding\s*=\s*["']([^"']*)["']/.exec(declaration?.[1] ?? '')?.[1]
  if (encoding !== undefined && !isKnownEncoding(encoding, cursor.wide)) fail(cursor, 'unsupported encoding')
  skipMisc(cursor)
  if (cursor.text.startsWith('<!DOCTYPE', cursor.pos)) {
    if (take(cursor, DOCTYPE) === undefined) fail(cursor, 'a DOCTYPE other than the plain one of a plist')
    skipMisc(cursor)
  }
  if (take(cursor, PLIST_TAG) === undefined) fail(cursor, 'not a property list: no <plist>')
}

function isKnownEncoding(name: string, wide: boolean): boolean {
  return wide ? /^utf-16(le|be)?$/i.test(name) : /^(utf-?8|us-ascii|ascii)$/i.test(name)
}

/** Takes the `plist` end tag, behind which nothing but comments may be. */
export function readDocumentEnd(cursor: XmlCursor): void {
  if (take(cursor, PLIST_END) === undefined) fail(cursor, '</plist> is missing')
  skipMisc(cursor)
  if (cursor.pos !== cursor.text.length) fail(cursor, 'something follows the document')
}

function take(cursor: XmlCursor, pattern: RegExp): RegExpExecArray | undefined {
  // A window, so that the work is bounded whatever the pattern tries.
  pattern.lastIndex = 0
  const match = pattern.exec(cursor.text.slice(cursor.pos, cursor.pos + LONGEST_TAG))
  if (match === null) return undefined
  cursor.pos += match[0].length
  return match
}

/** Skips white space, comments and processing instructions; the cursor is then at a `<` or at the end. */
export function skipMisc(cursor: XmlCursor): void {
  const { text } = cursor
  for (;;) {
    let pos = cursor.pos
    while (isSpace(text.charCodeAt(pos))) pos++
    cursor.pos = pos
    if (pos >= text.length) return
    if (text.charCodeAt(pos) !== 0x3c) fail(cursor, 'text outside of a value')
    const next = text.charCodeAt(pos + 1)
    if (next === 0x3f) skipInstruction(cursor)
    else if (next === 0x21 && text.charCodeAt(pos + 2) === 0x2d) skipComment(cursor)
    else return
  }
}

function skipInstruction(cursor: XmlCursor): void {
  const end = cursor.text.indexOf('?>', cursor.pos + 2)
  if (end === -1) fail(cursor, 'the processing instruction is not closed')
  cursor.pos = end + 2
}
