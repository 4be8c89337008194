import { wordSet } from '../../kernel/words.ts'
import { resolveReference } from './xml-text.ts'

/** Where the reader of damaged documents stands. */
export interface SalvageCursor {
  readonly text: string
  pos: number
  nodes: number
  failures: number
  /** There were more values than a document may have: the others are passed over. */
  isFull: boolean
  /** The containers around this place, the outermost first. */
  readonly open: string[]
}

/** A tag, from its `<` to behind its `>`. */
export interface Tag {
  readonly name: string
  readonly kind: 'open' | 'close' | 'empty'
  readonly start: number
  readonly end: number
}

const REPLACEMENT = '\ufffd'
const ELEMENTS = wordSet('plist dict array key string integer real date data true false')
/** Longest name of an element, and longest reference, that is looked at. */
const LONGEST_ELEMENT_NAME = 32
const LONGEST_REFERENCE = 16
/** Elements nobody knows of whose end is looked for, each time through all that follows. */
const MOST_SEARCHES = 16

/** The next tag, which is not taken; what is between, comments and declarations too, is passed over. */
export function nextTag(cursor: SalvageCursor): Tag | undefined {
  for (;;) {
    const start = cursor.text.indexOf('<', cursor.pos)
    if (start === -1) {
      cursor.pos = cursor.text.length
      return undefined
    }
    cursor.pos = start
    if (!skipMarkup(cursor)) {
      const tag = tagAt(cursor.text, start)
      if (tag !== undefined) return tag
      cursor.pos = start + 1
    }
  }
}

/** Skips the comment, CDATA section, declaration or processing instruction at the cursor, if there is one. */
function skipMarkup(cursor: SalvageCursor): boolean {
  const { text, pos } = cursor
  const next = text.charCodeAt(pos + 1)
  if (next !== 0x21 && next !== 0x3f) return false
  const end = next === 0x3f ? '?>' : text.startsWith('<!--', pos) ? '-->' : isCdata(text, pos) ? ']]>' : '>'
  const at = text.indexOf(end, pos + 2)
  cursor.pos = at === -1 ? text.length : at + end.length
  return true
}

function isCdata(text: string, pos: number): boolean {
  return text.startsWith('<![CDATA[', pos)
}

/** The tag that begins here; undefined for a `<` without a name behind it. One that does not end takes all there is. */
function tagAt(text: string, start: number): Tag | undefined {
  const isClose = text.charCodeAt(start + 1) === 0x2f
  const from = start + (isClose ? 2 : 1)
  const name = /^[A-Za-z_][\w.:-]*/.exec(text.slice(from, from + LONGEST_ELEMENT_NAME))?.[0]
  if (name === undefined) return undefined
  const close = text.indexOf('>', from + name.length)
  if (close === -1) return { name, kind: 'empty', start, end: text.length }
  const kind = isClose ? 'close' : text.charCodeAt(close - 1) === 0x2f ? 'empty' : 'open'
  return { name, kind, start, end: close + 1 }
}

/** Passes over an element whose start tag was taken: to its end tag, or nothing more when there is none. */
export function skipElement(cursor: SalvageCursor, { name, kind }: Tag): void {
  if (kind === 'empty') return
  if (name === 'dict' || name === 'array') return skipContainer(cursor)
  if (cursor.failures > MOST_SEARCHES) return
  cursor.failures++
  const at = cursor.text.indexOf(`</${name}`, cursor.pos)
  const end = at === -1 ? -1 : cursor.text.indexOf('>', at)
  if (end !== -1) cursor.pos = end + 1
}

/** To the end of a container, however deep those in it are. */
function skipContainer(cursor: SalvageCursor): void {
  for (let depth = 1; depth > 0;) {
    const tag = nextTag(cursor)
    cursor.pos = tag?.end ?? cursor.text.length
    if (tag === undefined) return
    if (tag.name !== 'dict' && tag.name !== 'array') continue
    if (tag.kind === 'open') depth++
    else if (tag.kind === 'close') depth--
  }
}

/**
 * The text up to the end tag of that name, which is taken; undefined when it does not end before another element of
 * property lists begins or ends, or holds elements.
 */
export function readSalvagedText(cursor: SalvageCursor, name: string): string | undefined {
  const { text } = cursor
  let result = ''
  let isText = true
  for (;;) {
    const start = text.indexOf('<', cursor.pos)
    if (start === -1) {
      cursor.pos = text.length
      return undefined
    }
    result += resolved(text.slice(cursor.pos, start))
    cursor.pos = start
    const isSection = isCdata(text, start)
    if (skipMarkup(cursor)) {
      if (isSection) result += text.slice(start + 9, Math.max(start + 9, cursor.pos - 3))
      continue
    }
    const tag = tagAt(text, start)
    if (tag?.name === name && tag.kind === 'close') {
      cursor.pos = tag.end
      return isText ? result : undefined
    }
    if (tag !== undefined && ELEMENTS.has(tag.name)) return undefined
    isText = false
    cursor.pos = tag?.end ?? start + 1
  }
}

/** The text with its references resolved; one to nothing becomes U+FFFD. */
function resolved(run: string): string {
  const text = run.includes('\r') ? run.replace(/\r\n?/g, '\n') : run
  if (!text.includes('&')) return text
  const [first = '', ...parts] = text.split('&')
  return first + parts.map(resolvedPart).join('')
}

function resolvedPart(part: string): string {
  const end = part.slice(0, LONGEST_REFERENCE).indexOf(';')
  const found = end === -1 ? undefined : resolveReference(part.slice(0, end))
  return found === undefined ? REPLACEMENT + part : found + part.slice(end + 1)
}
