/** A field of a form that is sent along. */
export interface Field {
  name: string
  /** Of an input: `text`, `password`, `hidden`, ...; otherwise `select` or `textarea`. */
  type: string
  autocomplete: string
  value: string
}

/** A form as a person sees it. */
export interface Form {
  /** As it is written; empty for the address of the page. */
  action: string
  method: 'GET' | 'POST'
  fields: Field[]
  /** The button that is pressed, when it has a name. */
  button: Field | undefined
}

/** What can be read on a page and done with it. */
export interface PageContent {
  title: string
  heading: string
  /** What is announced as a problem (`role="alert"`). */
  alert: string
  text: string
  forms: Form[]
  links: { href: string; text: string }[]
  /** Where the page leads by itself (`http-equiv="refresh"`). */
  refresh: string | undefined
}

interface Tag {
  name: string
  closes: boolean
  attributes: ReadonlyMap<string, string>
}

type Piece = Tag | string

const TAG_START = /<(\/?)([a-z][a-z0-9]*)/iy
const ATTRIBUTES = /([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g
const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
}

/** Reads a page as far as a person needs it who fills in forms. */
export function readPage(html: string): PageContent {
  const pieces = split(html)
  const find = (test: (tag: Tag) => boolean) => {
    const at = pieces.findIndex((piece) => typeof piece !== 'string' && !piece.closes && test(piece))
    return at < 0 ? '' : textInside(pieces, at)
  }
  return {
    title: find(({ name }) => name === 'title'),
    heading: find(({ name }) => name === 'h1'),
    alert: find(({ attributes }) => attributes.get('role') === 'alert'),
    text: find(({ name }) => name === 'body'),
    forms: readForms(pieces),
    links: readLinks(pieces),
    refresh: readRefresh(pieces),
  }
}

function split(html: string): Piece[] {
  const pieces: Piece[] = []
  for (let at = 0; at < html.length;) {
    const open = indexOrEnd(html, '<', at)
    if (open > at) pieces.push(decode(html.slice(at, open)))
    at = open
    if (html.startsWith('<!', at)) at = endOf(html, html.startsWith('<!--', at) ? '-->' : '>', at)
    else if (at < html.length) at = takeTag(html, at, pieces)
  }
  return pieces
}

/** Takes the tag at that place, with the content of one that holds no text for people; a lone `<` is text. */
function takeTag(html: string, at: number, pieces: Piece[]): number {
  TAG_START.lastIndex = at
  const [start, slash, name = ''] = TAG_START.exec(html) ?? []
  const end = start === undefined ? -1 : endOfTag(html, at + start.length)
  if (start === undefined || end < 0) {
    pieces.push('<')
    return at + 1
  }
  const tag = { name: name.toLowerCase(), closes: slash === '/' }
  if (!tag.closes && (tag.name === 'script' || tag.name === 'style')) {
    return endOf(html, '>', indexOrEnd(html, `</${tag.name}`, end))
  }
  pieces.push({ ...tag, attributes: readAttributes(html.slice(at + start.length, end - 1)) })
  return end
}

/** Behind the `>` that ends a tag; one between quotes does not. -1 when there is none. */
function endOfTag(html: string, from: number): number {
  let quote = ''
  for (let at = from; at < html.length; at += 1) {
    const char = html[at] ?? ''
    if (quote === '' && char === '>') return at + 1
    if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
  }
  return -1
}

function endOf(html: string, sign: string, from: number): number {
  return Math.min(html.length, indexOrEnd(html, sign, from) + sign.length)
}

function indexOrEnd(html: string, sign: string, from: number): number {
  const at = html.indexOf(sign, from)
  return at < 0 ? html.length : at
}

function readAttributes(text: string): Map<string, string> {
  const entries = [...text.matchAll(ATTRIBUTES)].map(
    ([, name = '', double, single, bare]): [string, string] => [
      name.toLowerCase(),
      decode(double ?? single ?? bare ?? ''),
    ],
  )
  return new Map(entries)
}

function decode(text: string): string {
  return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z]+);/gi, (whole, entity: string) => {
    if (!entity.startsWith('#')) return ENTITIES[entity.toLowerCase()] ?? whole
    const isHex = entity[1]?.toLowerCase() === 'x'
    const code = isHex ? Number.parseInt(entity.slice(2), 16) : Number(entity.slice(1))
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

/** The text between a tag and the one that closes it, on one line. */
function textInside(pieces: readonly Piece[], start: number): string {
  const { name } = pieces[start] as Tag
  let text = ''
  let depth = 0
  for (const piece of pieces.slice(start)) {
    if (typeof piece === 'string') text += piece
    else {
      text += ' '
      if (piece.name === name) depth += piece.closes ? -1 : 1
      if (depth === 0) break
    }
  }
  return text.replace(/\s+/g, ' ').trim()
}

function readForms(pieces: readonly Piece[]): Form[] {
  const forms: Form[] = []
  let form: Form | undefined
  pieces.forEach((piece, at) => {
    if (typeof piece === 'string') return
    const { name, closes, attributes } = piece
    if (name === 'form') {
      form = closes ? undefined : newForm(attributes)
      if (form !== undefined) forms.push(form)
    } else if (form !== undefined && !closes && !attributes.has('disabled')) addField(form, piece, pieces, at)
  })
  return forms
}

function newForm(attributes: ReadonlyMap<string, string>): Form {
  const method = attributes.get('method')?.toLowerCase() === 'post' ? 'POST' : 'GET'
  return { action: attributes.get('action') ?? '', method, fields: [], button: undefined }
}

function addField(form: Form, { name: tag, attributes }: Tag, pieces: readonly Piece[], at: number): void {
  const get = (key: string) => attributes.get(key) ?? ''
  const field = { name: get('name'), autocomplete: get('autocomplete'), value: get('value'), type: tag }
  const type = get('type').toLowerCase()
  if (tag === 'button' || (tag === 'input' && (type === 'submit' || type === 'image'))) {
    const presses = tag === 'input' || type === '' || type === 'submit'
    if (presses && field.name !== '') form.button ??= { ...field, type: 'submit' }
    return
  }
  if (field.name === '') return
  if (tag === 'textarea') form.fields.push({ ...field, value: textInside(pieces, at) })
  if (tag === 'select') form.fields.push({ ...field, value: firstOption(pieces, at) })
  if (tag !== 'input') return
  const isUnticked = (type === 'checkbox' || type === 'radio') && !attributes.has('checked')
  if (!isUnticked) form.fields.push({ ...field, type: type === '' ? 'text' : type })
}

function firstOption(pieces: readonly Piece[], at: number): string {
  const options: Tag[] = []
  for (const piece of pieces.slice(at + 1)) {
    if (typeof piece === 'string') continue
    if (piece.name === 'select') break
    if (piece.name === 'option' && !piece.closes) options.push(piece)
  }
  const chosen = options.find(({ attributes }) => attributes.has('selected')) ?? options[0]
  return chosen?.attributes.get('value') ?? ''
}

function readLinks(pieces: readonly Piece[]): PageContent['links'] {
  return pieces.flatMap((piece, at) => {
    if (typeof piece === 'string' || piece.name !== 'a' || piece.closes) return []
    const href = piece.attributes.get('href')
    return href === undefined ? [] : [{ href, text: textInside(pieces, at) }]
  })
}

function readRefresh(pieces: readonly Piece[]): string | undefined {
  for (const piece of pieces) {
    if (typeof piece === 'string' || piece.attributes.get('http-equiv')?.toLowerCase() !== 'refresh') continue
    const [, ...rest] = (piece.attributes.get('content') ?? '').split(';')
    const where = rest.join(';').trim()
    const name = /^url\s*=/i.exec(where)?.[0]
    if (name !== undefined) return unquoted(where.slice(name.length).trim())
  }
  return undefined
}

function unquoted(text: string): string {
  const quote = text[0]
  const isQuoted = text.length > 1 && (quote === '"' || quote === "'") && text.endsWith(quote)
  return isQuoted ? text.slice(1, -1) : text
}
