import { jsonPointer } from '../../../kernel/json.ts'
import { nearest } from '../../../kernel/nearest.ts'
import { isDict, type PlistDict, type PlistValue } from '../../plist/index.ts'
import { findCommandType } from './catalogue.ts'
import { successorOf } from './changes.ts'
import type { Key, Part } from './types.ts'

/** Names beyond this are nobody's slip of the pen. */
const LONGEST_NAME = 64
/** Faults that are told of one command. */
const MOST_FAULTS = 100

/** What is wrong with a command whatever the device. */
interface CommandFault {
  /** A JSON pointer below the command: `/Queries/0`. */
  pointer: string
  detail: string
  /** A key or a type that Apple does not know; else a value, which Apple may have added since. */
  isOfKeys: boolean
}

/** A command, looked at with Apple's schema. */
export interface CheckedCommand {
  faults: CommandFault[]
  /** What of it a device may have or not. */
  parts: Part[]
}

/** Where a walk through a command is. */
interface Place {
  pointer: string
  /** The same in names of the schema, as the table of changes has them. */
  path: string
}

/** Looks at the `Command` dictionary of a command; one of a type that Apple's schema does not have has the one fault. */
export function checkCommand(requestType: string, command: PlistDict): CheckedCommand {
  const checked: CheckedCommand = { faults: [], parts: [] }
  const type = findCommandType(requestType)
  if (type === undefined) {
    const detail = `${requestType} is not a command of Apple's schema.`
    fault(checked, '/RequestType', detail, false)
    return checked
  }
  const { RequestType: named = requestType, ...fields } = command
  if (named !== requestType) fault(checked, '/RequestType', `This is not ${requestType}.`)
  checkDict(checked, fields, type.keys ?? [], { pointer: '', path: requestType })
  return checked
}

function checkDict(checked: CheckedCommand, dict: PlistDict, keys: readonly Key[], place: Place): void {
  const anything = keys.find(({ key }) => key.startsWith('ANY'))
  for (const [name, value] of Object.entries(dict)) {
    const key = keys.find((each) => each.key === name) ?? anything
    const pointer = place.pointer + jsonPointer([name])
    if (key === undefined) fault(checked, pointer, `This key is not known here${suggestion(name, keys)}.`)
    else if (value !== undefined)
      checkValue(checked, value, key, { pointer, path: `${place.path}/${key.key}` })
  }
  for (const { key, required } of keys)
    if (required && key !== anything?.key && !Object.hasOwn(dict, key))
      fault(checked, `${place.pointer}/${key}`, `${key} is missing.`)
}

function checkValue(checked: CheckedCommand, value: PlistValue, key: Key, place: Place): void {
  const { pointer } = place
  if (!isOfType(value, key.type)) {
    fault(checked, pointer, `This is to be ${ARTICLES[key.type]}, not ${ARTICLES[typeOf(value)]}.`)
    return
  }
  const wrong = wrongValue(value, key)
  if (wrong !== undefined) fault(checked, pointer, wrong, false)
  addPart(checked, key, place, `the key ${key.key}`, false)
  if (key.keys === undefined) return
  if (Array.isArray(value)) for (const [at, item] of value.entries()) checkItem(checked, item, key, place, at)
  else if (isDict(value)) checkDict(checked, value, key.keys, place)
}

/** An item of an array is described by the one item of the schema, or by that whose `Item` it names. */
function checkItem(checked: CheckedCommand, item: PlistValue, array: Key, place: Place, at: number): void {
  const inside = { pointer: `${place.pointer}/${at}`, path: place.path }
  const [first] = array.keys ?? []
  if (first === undefined) return
  if (first.type === 'string' && first.keys !== undefined) return checkWord(checked, item, first, inside)
  const isChoice = isChoiceOfItems(array)
  if (!isChoice) return checkValue(checked, item, first, inside)
  if (!isDict(item)) {
    fault(checked, inside.pointer, `This is to be ${ARTICLES.dictionary}, not ${ARTICLES[typeOf(item)]}.`)
    return
  }
  const chosen = chosenItem(array, item)
  if (chosen !== undefined) {
    const path = `${place.path}/${chosen.key}`
    addPart(checked, chosen, { ...inside, path }, `the setting ${chosen.key}`, true)
    return checkDict(checked, item, chosen.keys ?? [], { ...inside, path })
  }
  const name = item['Item']
  if (typeof name !== 'string') fault(checked, `${inside.pointer}/Item`, 'Item is missing or not a text.')
  else
    fault(
      checked,
      `${inside.pointer}/Item`,
      `There is no ${name}${suggestion(name, array.keys ?? [])}.`,
      false,
    )
}

/** Whether the items of an array are of many kinds, which name themselves. */
export function isChoiceOfItems({ keys = [] }: Key): boolean {
  return keys.length > 1 && keys.every((key) => key.keys?.some(({ key: name }) => name === 'Item'))
}

/** The description of an item that names itself. */
export function chosenItem({ keys = [] }: Key, item: Readonly<Record<string, unknown>>): Key | undefined {
  return keys.find(({ keys: inner = [] }) =>
    inner.some(({ key, values }) => key === 'Item' && values?.some((value) => value === item['Item'])),
  )
}

function checkWord(checked: CheckedCommand, item: PlistValue, words: Key, place: Place): void {
  if (typeof item !== 'string') {
    fault(checked, place.pointer, `This is to be ${ARTICLES.string}, not ${ARTICLES[typeOf(item)]}.`)
    return
  }
  const word = words.keys?.find(({ key }) => key === item)
  if (word === undefined) {
    fault(checked, place.pointer, `There is no ${item}${suggestion(item, words.keys ?? [])}.`, false)
    return
  }
  const path = `${place.path}/${word.key}`
  addPart(checked, word, { pointer: place.pointer, path }, `the query ${word.key}`, false)
}

function addPart(checked: CheckedCommand, key: Key, place: Place, name: string, isNeeded: boolean): void {
  if (key.on === undefined) return
  const instead = successorOf(place.path)
  const part = { pointer: place.pointer, name, on: key.on, isNeeded }
  checked.parts.push(instead === undefined ? part : { ...part, instead })
}

const ARTICLES = {
  string: 'a text',
  integer: 'an integer',
  real: 'a number',
  boolean: 'true or false',
  date: 'a date',
  data: 'data',
  array: 'a list',
  dictionary: 'an object',
  any: 'a value',
} as const satisfies Record<Key['type'], string>

function typeOf(value: PlistValue): Key['type'] {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'boolean'
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'real'
  if (value instanceof Date) return 'date'
  if (value instanceof Uint8Array) return 'data'
  return Array.isArray(value) ? 'array' : 'dictionary'
}

function isOfType(value: PlistValue, type: Key['type']): boolean {
  const given = typeOf(value)
  return type === 'any' || given === type || (type === 'real' && given === 'integer')
}

function wrongValue(value: PlistValue, { values, range }: Key): string | undefined {
  if (
    values !== undefined &&
    typeof value !== 'object' &&
    !values.some((each) => String(each) === String(value))
  )
    return `This is to be one of ${values.join(', ')}.`
  const { min = -Infinity, max = Infinity } = range ?? {}
  if (typeof value === 'number' && (value < min || value > max))
    return `This is to be between ${min} and ${max}.`
  return undefined
}

function fault({ faults }: CheckedCommand, pointer: string, detail: string, isOfKeys = true): void {
  if (faults.length < MOST_FAULTS) faults.push({ pointer, detail, isOfKeys })
}

function suggestion(name: string, keys: readonly Key[]): string {
  if (name.length > LONGEST_NAME) return ''
  const names = keys.map(({ key }) => key)
  const near = nearest(name, names, (word) => Math.floor(word.length / 4))
  return near === undefined ? '' : `; it may be ${near}`
}
