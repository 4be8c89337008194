import { randomBytes } from 'node:crypto'
import { fillTemplate, MOST_FILLED, parseTemplate, type TemplateValues } from '../../kernel/template.ts'
import { writeProfilePlist } from './codec.ts'
import { mapTexts, type ProfileDict } from './tree.ts'

/** A profile that is written but for its variables and its UUID. */
export interface ProfileTemplate {
  /** XML; between each two stands what the part of the same number says. */
  pieces: string[]
  /** A variable as in the text, or null: the PayloadUUID of the profile. */
  parts: (string | null)[]
}

/** Why a profile cannot be written for a device; the names are those of variables. */
type Unfilled =
  | { ok: false; reason: 'variable_missing'; names: string[] }
  | { ok: false; reason: 'variable_invalid'; names: string[] }

/** Writes a profile once, for all devices. */
export function compileProfile(root: ProfileDict): ProfileTemplate {
  const mark = `v${randomBytes(12).toString('hex')}.`
  const parts: (string | null)[] = []
  const place = (part: string | null) => `${mark}${parts.push(part) - 1}.`
  const marked = mapTexts(root, (text) => withPlaces(text, place)) as ProfileDict
  marked['PayloadUUID'] = place(null)
  const [first = '', ...others] = writeProfilePlist(marked).split(mark)
  const order: (string | null)[] = []
  const pieces = [first]
  for (const piece of others) {
    const end = piece.indexOf('.')
    order.push(parts[Number(piece.slice(0, end))] ?? null)
    pieces.push(piece.slice(end + 1))
  }
  return { pieces, parts: order }
}

function withPlaces(text: string, place: (part: string) => string): string {
  const parsed = parseTemplate(text)
  if (!parsed.ok || parsed.variables.length === 0) return text
  let filled = ''
  let from = 0
  for (const { name, fallback } of parsed.variables) {
    const variable = `{{${name}${fallback === undefined ? '' : `|${fallback}`}}}`
    const at = text.indexOf(variable, from)
    filled += text.slice(from, at) + place(variable)
    from = at + variable.length
  }
  return filled + text.slice(from)
}

/** The profile of one device, with this PayloadUUID. Values are inserted as they are. */
export function fillProfile(
  { pieces, parts }: ProfileTemplate,
  uuid: string,
  values: TemplateValues,
): { ok: true; body: Buffer } | Unfilled {
  const missing = new Set<string>()
  const invalid = new Set<string>()
  let room = MOST_FILLED
  let xml = pieces[0] ?? ''
  for (const [at, part] of parts.entries()) {
    const filled = part === null ? { ok: true as const, text: uuid } : fillTemplate(part, values)
    if (!filled.ok) for (const name of filled.missing) missing.add(name)
    else if (filled.text.length > room)
      return { ok: false, reason: 'variable_invalid', names: [nameIn(part ?? '')] }
    else if (UNWRITABLE.test(filled.text) || !filled.text.isWellFormed()) invalid.add(nameIn(part ?? ''))
    else {
      room -= filled.text.length
      xml += escaped(filled.text)
    }
    xml += pieces[at + 1] ?? ''
  }
  if (missing.size > 0) return { ok: false, reason: 'variable_missing', names: [...missing] }
  if (invalid.size > 0) return { ok: false, reason: 'variable_invalid', names: [...invalid] }
  return { ok: true, body: Buffer.from(xml) }
}

/** What no XML can carry (XML 1.0, section 2.2). */
// oxlint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

function nameIn(variable: string): string {
  return variable.slice(2, -2).split('|')[0] ?? ''
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('\r', '&#13;')
}
