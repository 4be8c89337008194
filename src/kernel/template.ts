import { nearest } from './nearest.ts'
import { shortened, wordSet } from './words.ts'

/** The variables that a text may name, apart from `secret.NAME`. */
const VARIABLES = wordSet(`
  device.serial_number device.udid device.name device.product_name device.os_version
  user.user_name user.email user.display_name policy.name`)

const SECRET = 'secret.'
/** Letters by which a name may miss one that there is, to be told which. */
const TOLERANCE = 3
/** Longest name that is compared with those that there are, and that a problem shows. */
const LONGEST_SHOWN = 64

/** Most UTF-16 units that variables may fill into one profile, or one configuration. */
export const MOST_FILLED = 1024 * 1024

/** What the name of a secret looks like. */
export const SECRET_NAME_PATTERN = '^[A-Za-z0-9_.-]{1,64}$'
const SECRET_NAME = new RegExp(SECRET_NAME_PATTERN)

/** A variable in a text: `{{name}}`, or `{{name|fallback}}`. */
interface TemplateVariable {
  /** As `device.serial_number`, or `secret.NAME`. */
  name: string
  /** What stands for a missing value. It may be empty. */
  fallback?: string
}

/** Values by the names of variables. Null, undefined and an empty text are missing values. */
export interface TemplateValues {
  get(name: string): string | null | undefined
}

/**
 * The variables of a text, each time that it is there, in their order; or the first thing that is wrong, in one sentence: a
 * variable that there is not, one that is not closed, or one within another.
 */
export function parseTemplate(
  text: string,
): { ok: true; variables: TemplateVariable[] } | { ok: false; problem: string } {
  const variables: TemplateVariable[] = []
  for (const piece of piecesOf(text)) {
    if ('problem' in piece) return { ok: false, problem: piece.problem }
    if ('name' in piece) variables.push(piece)
  }
  return { ok: true, variables }
}

/**
 * The text with the value of each variable in its place, as it is: what looks like a variable in a value stays. Or the
 * names of all variables that have neither a value nor a fallback. Throws for a text that `parseTemplate` refuses. What becomes
 * longer than `MOST_FILLED` beyond the text itself is left off soon after that.
 */
export function fillTemplate(
  text: string,
  values: TemplateValues,
): { ok: true; text: string } | { ok: false; missing: string[] } {
  const missing = new Set<string>()
  let filled = ''
  for (const piece of piecesOf(text)) {
    if ('problem' in piece) throw new RangeError(piece.problem)
    if ('literal' in piece) {
      filled += piece.literal
      continue
    }
    const value = values.get(piece.name) || piece.fallback
    if (value === undefined) missing.add(piece.name)
    else if (filled.length <= text.length + MOST_FILLED) filled += value
  }
  return missing.size === 0 ? { ok: true, text: filled } : { ok: false, missing: [...missing] }
}

/** The name of the secret that a variable stands for; undefined for every other variable. */
export function secretOf(variable: string): string | undefined {
  return variable.startsWith(SECRET) ? variable.slice(SECRET.length) : undefined
}

type Piece = { literal: string } | TemplateVariable | { problem: string }

function* piecesOf(text: string): Generator<Piece> {
  let from = 0
  for (let open = text.indexOf('{{'); open !== -1; open = text.indexOf('{{', from)) {
    if (open > from) yield { literal: text.slice(from, open) }
    const close = text.indexOf('}}', open + 2)
    if (close === -1) {
      yield { problem: `The variable ${show(text.slice(open))} is not closed by "}}".` }
      return
    }
    const inside = text.slice(open + 2, close)
    yield inside.includes('{{')
      ? { problem: `Within the variable ${show(`{{${inside}`)} another one begins.` }
      : readVariable(inside)
    from = close + 2
  }
  if (from < text.length) yield { literal: text.slice(from) }
}

function readVariable(inside: string): TemplateVariable | { problem: string } {
  const bar = inside.indexOf('|')
  const name = bar === -1 ? inside : inside.slice(0, bar)
  const secret = secretOf(name)
  const isKnown = secret === undefined ? VARIABLES.has(name) : SECRET_NAME.test(secret)
  if (!isKnown) return { problem: `There is no variable ${show(`{{${name}}}`)}.${suggestion(name)}` }
  return bar === -1 ? { name } : { name, fallback: inside.slice(bar + 1) }
}

function suggestion(name: string): string {
  if (name.length > LONGEST_SHOWN) return ''
  const meant = nearest(name.trim().toLowerCase(), [...VARIABLES], () => TOLERANCE)
  return meant === undefined ? '' : ` Is {{${meant}}} meant?`
}

function show(text: string): string {
  return JSON.stringify(shortened(text, LONGEST_SHOWN))
}
