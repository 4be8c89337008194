import { findCommandType } from './catalogue.ts'
import { chosenItem, isChoiceOfItems } from './check.ts'
import type { Key } from './types.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * The JSON fields of a command with `{"$data": ...}` and `{"$date": ...}` in the place of plain strings where Apple's schema says
 * data or date.
 */
export function markDataKeys(requestType: string, fields: Fields): Fields {
  const type = findCommandType(requestType)
  return type === undefined ? fields : markDict(fields, type.keys ?? [])
}

function markDict(dict: Fields, keys: readonly Key[]): Fields {
  return Object.fromEntries(
    Object.entries(dict).map(([name, value]) => {
      const key = keys.find((each) => each.key === name)
      return [name, key === undefined ? value : mark(value, key)]
    }),
  )
}

function mark(value: unknown, key: Key): unknown {
  if (typeof value === 'string')
    return key.type === 'data' ? { $data: value } : key.type === 'date' ? { $date: value } : value
  if (Array.isArray(value)) return value.map((item) => markItem(item, key))
  return isObject(value) && key.type === 'dictionary' ? markDict(value, key.keys ?? []) : value
}

function markItem(item: unknown, array: Key): unknown {
  if (array.type !== 'array') return item
  if (!isChoiceOfItems(array)) return array.keys?.[0] === undefined ? item : mark(item, array.keys[0])
  return isObject(item) ? markDict(item, chosenItem(array, item)?.keys ?? []) : item
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
