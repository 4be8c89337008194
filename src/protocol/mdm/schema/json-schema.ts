import { isChoiceOfItems } from './check.ts'
import type { CommandType, Key, SupportedOn } from './types.ts'

type Schema = Record<string, unknown>

/** Said of a part of a schema: which systems have it, where that differs from the whole. */
const ON = 'x-supported-on'

/** The keys of a command as JSON Schema (2020-12) of the `command` that the API takes. */
export function jsonSchemaOf({ request_type, keys = [] }: CommandType): Schema {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: request_type, ...object(keys) }
}

function object(keys: readonly Key[]): Schema {
  const named = keys.filter(({ key }) => !key.startsWith('ANY'))
  const required = named.flatMap(({ key, required: needed }) => (needed ? [key] : []))
  return {
    type: 'object',
    properties: Object.fromEntries(named.map((key) => [key.key, schemaOf(key)])),
    ...(required.length > 0 && { required }),
    ...(named.length === keys.length && { additionalProperties: false }),
  }
}

function schemaOf(key: Key): Schema {
  const { values, range, on } = key
  return {
    ...typed(key),
    ...(values !== undefined && { enum: values }),
    ...(range?.min !== undefined && { minimum: range.min }),
    ...(range?.max !== undefined && { maximum: range.max }),
    ...(key.default !== undefined && { default: key.default }),
    ...supported(on),
  }
}

function typed(key: Key): Schema {
  switch (key.type) {
    case 'integer':
    case 'boolean':
    case 'string':
      return { type: key.type }
    case 'real':
      return { type: 'number' }
    case 'date':
      return { type: 'string', format: 'date-time' }
    case 'data':
      return { type: 'string', contentEncoding: 'base64' }
    case 'array':
      return { type: 'array', ...items(key) }
    case 'dictionary':
      return key.keys === undefined ? { type: 'object' } : object(key.keys)
    case 'any':
      return {}
  }
}

function items(array: Key): Schema {
  const [first] = array.keys ?? []
  if (first === undefined) return {}
  if (isChoiceOfItems(array)) return { items: { oneOf: (array.keys ?? []).map(schemaOf) } }
  if (first.type !== 'string' || first.keys === undefined) return { items: schemaOf(first) }
  return { items: { oneOf: first.keys.map(({ key, on }) => ({ const: key, ...supported(on) })) } }
}

function supported(on: SupportedOn | undefined): Schema {
  return on === undefined ? {} : { [ON]: on }
}
