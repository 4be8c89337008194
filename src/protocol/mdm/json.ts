import { AppError } from '../../kernel/errors.ts'
import { jsonPointer } from '../../kernel/json.ts'
import { parseTime } from '../../kernel/rfc3339.ts'
import type { PlistDict, PlistValue } from '../plist/index.ts'

/** A value of JSON. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue }

/** Deepest nesting of a command given as JSON; a property list of it stays within the reader's limit. */
const DEEPEST = 60

/**
 * JSON to property list values: `{"$data": "<base64>"}` becomes data, `{"$date": "<RFC 3339>"}` a date (to the
 * second). Throws `command_invalid` with the path of what no property list can carry: null, integers that a number
 * does not hold exactly, and malformed `$data` and `$date`. `name` is that of the whole, with which paths begin.
 */
export function fromJson(value: unknown, name = ''): PlistValue {
  return convert(value, name === '' ? [] : [name], 1)
}

type Path = readonly (string | number)[]

function convert(value: unknown, path: Path, depth: number): PlistValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) refuse(path, 'the integer is too large')
    return Number.isFinite(value) ? value : refuse(path, 'not a finite number')
  }
  if (typeof value !== 'object') return refuse(path, `${typeof value} cannot be sent`)
  if (value === null) return refuse(path, 'null cannot be sent')
  if (depth > DEEPEST) return refuse(path, `nested deeper than ${DEEPEST}`)
  if (Array.isArray(value)) return value.map((item, i) => convert(item, [...path, i], depth + 1))
  if (Object.hasOwn(value, '$data') || Object.hasOwn(value, '$date')) return convertTagged(value, path)
  const dict = { __proto__: null } as unknown as PlistDict
  for (const [key, member] of Object.entries(value)) {
    dict[key] = convert(member, [...path, key], depth + 1)
  }
  return dict
}

function convertTagged(value: object, path: Path): PlistValue {
  const entries = Object.entries(value)
  const [tag, content] = entries[0] as [string, unknown]
  if (entries.length !== 1) refuse(path, '$data and $date stand alone in their object')
  if (typeof content !== 'string') return refuse(path, `${tag} is not a string`)
  if (tag === '$data') {
    try {
      return Buffer.from(atob(content), 'latin1')
    } catch {
      return refuse(path, '$data is not base64')
    }
  }
  const date = parseTime(content) ?? refuse(path, '$date is not an RFC 3339 date and time')
  return new Date(Math.floor(date.getTime() / 1000) * 1000)
}

/** Names the place twice: as people write it, and as a JSON pointer below the command. */
function refuse(at: Path, message: string): never {
  const path = at
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .replace(/^\./, '')
  throw new AppError('command_invalid', path === '' ? message : `${path}: ${message}`, {
    fields: [{ path, message, pointer: null }],
    faults: [{ pointer: jsonPointer(at), detail: message }],
  })
}

/**
 * Property list values for people and programs that read JSON: data as `{"$data"}`, dates as `{"$date"}`, integers
 * beyond the safe range as decimal strings, NaN and infinities as null. Dictionaries have no prototype.
 */
export function toJson(value: PlistValue): JsonValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return { $data: Buffer.from(value).toString('base64') }
  if (value instanceof Date) return { $date: value.toISOString().replace(/\.\d+Z$/, 'Z') }
  if (Array.isArray(value)) return value.map(toJson)
  const result = { __proto__: null } as unknown as Record<string, JsonValue>
  for (const key of Object.keys(value)) result[key] = toJson(value[key] as PlistValue)
  return result
}
