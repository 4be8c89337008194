import { nearest } from '../../kernel/nearest.ts'
import { additionsTo, changeOf } from './schema/changes.ts'
import { COMMON_KEYS, findPayloadType, TOP_LEVEL_KEYS } from './schema/payloads.ts'
import type { Ends, PayloadKey } from './schema/types.ts'
import {
  isProfileDict,
  shown,
  WrittenNumber,
  type ProfileDict,
  type ProfilePath,
  type ProfileValue,
} from './tree.ts'

/** Warnings that are told of one profile; the last one says how many more there are. */
const MOST_WARNINGS = 100
/** Letters by which a key may miss one that there is, and the longest that is compared. */
const TOLERANCE = 3
const LONGEST_NAME = 64

/** What devices may take amiss in a profile, and where: keys and numbers of items, separated by dots. */
interface Warning {
  path: string
  message: string
}

/** Where a walk is: in the profile, and by the names of the schema. */
interface Place {
  path: ProfilePath
  name: string
}

/**
 * What in a well-formed profile is not as Apple's schema has it: unknown payloads and keys, other types and values, what is
 * missing, and what a system has deprecated or removed, with its successor.
 */
export function warningsOf(root: ProfileDict): Warning[] {
  const warnings: Warning[] = []
  let more = 0
  const warn: Warn = (path, message) => {
    if (warnings.length < MOST_WARNINGS) warnings.push({ path: shownPath(path), message: message() })
    else more += 1
  }
  // Payloads are looked at by their own types.
  const top = TOP_LEVEL_KEYS.map((key) => (key.key === 'PayloadContent' ? withoutKeys(key) : key))
  checkDict(root, top, { path: [], name: 'TopLevel' }, warn)
  const payloads = root['PayloadContent']
  if (Array.isArray(payloads)) {
    if (payloads.length === 0) warn(['PayloadContent'], () => 'The profile has no payload.')
    for (const [at, payload] of payloads.entries())
      if (isProfileDict(payload)) checkPayload(payload, ['PayloadContent', at], warn)
  }
  if (more === 0) return warnings
  const left = { path: '', message: `There are ${more + 1} more warnings.` }
  return [...warnings.slice(0, MOST_WARNINGS - 1), left]
}

/** What is beyond the limit is counted, and its sentence never made. */
type Warn = (path: ProfilePath, message: () => string) => void

function shownPath(path: ProfilePath): string {
  return path.map((part) => shown(String(part))).join('.')
}

function checkPayload(payload: ProfileDict, path: ProfilePath, warn: Warn): void {
  const name = payload['PayloadType']
  if (typeof name !== 'string') return
  const type = findPayloadType(name)
  if (type === undefined) {
    warn(
      [...path, 'PayloadType'],
      () => `Apple's schema has no payload "${shown(name)}": nothing in it is checked.`,
    )
    return
  }
  warnOfEnd([...path, 'PayloadType'], `The payload ${name}`, type.on, name, warn)
  checkDict(payload, [...COMMON_KEYS, ...type.keys], { path, name }, warn)
}

function checkDict(dict: ProfileDict, known: readonly PayloadKey[], place: Place, warn: Warn): void {
  const keys = [...known, ...additionsTo(place.name)]
  const anything = keys.find(({ key }) => key.startsWith('ANY'))
  for (const [name, value] of Object.entries(dict)) {
    const path = [...place.path, name]
    const key = keys.find((each) => each.key === name) ?? anything
    if (key === undefined) warn(path, () => `Apple's schema has no such key here.${suggestion(name, keys)}`)
    else checkValue(value, key, { path, name: `${place.name}/${key.key}` }, warn)
    if (name.includes('{{')) warn(path, () => 'Variables in names of keys are not filled in.')
  }
  for (const { key, required } of keys)
    if (required && key !== anything?.key && !Object.hasOwn(dict, key))
      warn([...place.path, key], () => `${key} is missing.`)
}

function checkValue(value: ProfileValue, key: PayloadKey, place: Place, warn: Warn): void {
  warnOfEnd(place.path, `The key ${key.key}`, key.on, place.name, warn)
  if (!isOfType(value, key.type)) {
    warn(place.path, () => `This is to be ${wordFor(key.type)}, not ${wordFor(typeOf(value))}.`)
    return
  }
  const wrong = wrongValue(value, key)
  if (wrong !== undefined) warn(place.path, () => wrong)
  const { keys = [] } = key
  if (isProfileDict(value)) {
    if (keys.length > 0) checkDict(value, keys, place, warn)
  } else if (Array.isArray(value)) checkItems(value, keys, place, warn)
}

/** Items are described by the one item of the schema; where it knows several kinds, they are not told apart. */
function checkItems(
  items: readonly ProfileValue[],
  kinds: readonly PayloadKey[],
  place: Place,
  warn: Warn,
): void {
  const [item, another] = kinds
  if (item === undefined || another !== undefined) return
  for (const [at, value] of items.entries())
    checkValue(value, item, { path: [...place.path, at], name: place.name }, warn)
}

function wrongValue(value: ProfileValue, { values, range }: PayloadKey): string | undefined {
  // What a variable becomes is not known yet.
  if (typeof value === 'string' && value.includes('{{')) return undefined
  const plain = value instanceof WrittenNumber ? Number(value.text) : value
  if (typeof plain !== 'string' && typeof plain !== 'number') return undefined
  if (values !== undefined && !values.includes(plain))
    return `This is to be one of ${values.slice(0, 20).join(', ')}${values.length > 20 ? ', …' : ''}.`
  if (typeof plain !== 'number' || range === undefined) return undefined
  if (range.min !== undefined && plain < range.min) return `This is to be ${range.min} or more.`
  if (range.max !== undefined && plain > range.max) return `This is to be ${range.max} or less.`
  return undefined
}

function warnOfEnd(path: ProfilePath, what: string, on: Ends | undefined, name: string, warn: Warn): void {
  const change = changeOf(name)
  const ends = { ...on, ...change?.on }
  const told = Object.entries(ends).map(([system, { removed, deprecated }]) =>
    removed === undefined
      ? `deprecated since ${system} ${deprecated}`
      : `removed from ${system} ${removed} on`,
  )
  if (told.length === 0) return
  const instead = change?.instead === undefined ? '' : ` What takes its place is ${change.instead}.`
  warn(path, () => `${what} is ${told.join(', ')}.${instead}`)
}

function isOfType(value: ProfileValue, type: string): boolean {
  const own = typeOf(value)
  return own === type || type === 'any' || (type === 'real' && own === 'integer')
}

function typeOf(value: ProfileValue): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'boolean'
  if (value instanceof WrittenNumber) return value.kind
  if (value instanceof Date) return 'date'
  if (value instanceof Uint8Array) return 'data'
  return Array.isArray(value) ? 'array' : 'dictionary'
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'an integer',
  real: 'a number',
  boolean: 'true or false',
  date: 'a date',
  data: 'data',
  array: 'an array',
  dictionary: 'a dictionary',
}

function wordFor(type: string): string {
  return WORDS[type] ?? type
}

function suggestion(name: string, keys: readonly PayloadKey[]): string {
  if (name.length > LONGEST_NAME) return ''
  const meant = nearest(
    name,
    keys.map(({ key }) => key),
    () => TOLERANCE,
  )
  return meant === undefined ? '' : ` Is ${meant} meant?`
}

function withoutKeys({ keys: _keys, ...key }: PayloadKey): PayloadKey {
  return key
}
