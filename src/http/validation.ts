import type { FastifySchemaCompiler } from 'fastify'
import { Readable } from 'node:stream'
import { type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { jsonPointer } from '../kernel/json.ts'

/** Most names that one error tells of; an answer has no room for more. */
const MAX_NAMES = 100

/** The keywords of JSON Schema that are looked at here. */
type Node = {
  type?: string
  default?: unknown
  properties?: Record<string, Node>
  items?: Node
}

/** An object without any property: the query string of routes that declare none. */
export const NOTHING = Type.Object({}, { additionalProperties: false })

/**
 * Validates what operators send by the routes' own schemas. Nothing is dropped or bent to fit: a JSON body has the
 * types it must have, defaults fill what is left out, and only query strings and path parameters, which are all
 * text, become the numbers and booleans that they spell exactly.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  const isText = httpPart === 'querystring' || httpPart === 'params'
  return (given: unknown) => {
    // Bytes, and those still to come, are for the route itself to judge; taking defaults would copy them into something else.
    if (Buffer.isBuffer(given) || given instanceof Readable) return { value: given }
    const value = complete(schema, given, isText)
    if (compiled.Check(value)) return { value }
    return { error: tidy(compiled.Errors(value)) as never }
  }
}

/**
 * The schema of what is sent, with unknown properties refused at every level that does not say otherwise, and without
 * the need to send what has a default.
 */
export function strict<T extends TSchema>(schema: T): T {
  return walk(schema) as T
}

function walk(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(walk)
  if (typeof node !== 'object' || node === null) return node
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, walk(value)]))
  if (
    copy['type'] === 'object' &&
    copy['properties'] !== undefined &&
    copy['patternProperties'] === undefined
  ) {
    copy['additionalProperties'] ??= false
    const needed = neededOf(copy)
    if (needed.length > 0) copy['required'] = needed
    else delete copy['required']
  }
  return copy
}

function neededOf({ properties, required = [] }: { properties?: unknown; required?: unknown }): string[] {
  const known = properties as Record<string, Node>
  return (required as string[]).filter((name) => known[name]?.default === undefined)
}

/** The value with defaults for what is left out and, where it `isText`, with what its texts spell. */
function complete(node: Node | undefined, given: unknown, isText: boolean): unknown {
  if (given === undefined) return structuredClone(node?.default)
  if (node === undefined) return given
  if (node.type === 'array') {
    const items = Array.isArray(given) || !isText ? given : [given]
    return Array.isArray(items) ? items.map((item) => complete(node.items, item, isText)) : given
  }
  if (typeof given === 'object' && given !== null && !Array.isArray(given))
    return completeObject(node, given, isText)
  return isText && typeof given === 'string' ? spell(node?.type, given) : given
}

function completeObject(node: Node | undefined, given: object, isText: boolean): object {
  const properties = Object.entries(node?.properties ?? {})
  const missing = properties.filter(
    ([name, { default: value }]) => value !== undefined && !Object.hasOwn(given, name),
  )
  return Object.fromEntries([
    ...Object.entries(given).map(([name, value]) => [
      name,
      complete(own(node?.properties, name), value, isText),
    ]),
    ...missing.map(([name, { default: value }]) => [name, structuredClone(value)]),
  ]) as object
}

function own(properties: Record<string, Node> | undefined, name: string): Node | undefined {
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined
}

function spell(type: string | undefined, text: string): unknown {
  if (type === 'integer' || type === 'number') return /^-?\d{1,15}$/.test(text) ? Number(text) : text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  return text
}

type Violation = { keyword: string; instancePath: string; message: string; params: Record<string, unknown> }

/** One violation a field, in words that name the field: not each branch of a union, not the same fact twice. */
function tidy(errors: readonly object[]): Violation[] {
  const found = new Map<string, Violation>()
  for (const error of errors as readonly Violation[]) {
    for (const violation of named(error)) {
      const known = found.get(violation.instancePath)
      if (known === undefined || violation.keyword === 'anyOf') found.set(violation.instancePath, violation)
    }
  }
  return [...found.values()]
}

function named(error: Violation): Violation[] {
  const { keyword, instancePath, params } = error
  const inside = (names: unknown, message: string) =>
    (Array.isArray(names) ? (names as string[]).slice(0, MAX_NAMES) : []).map((name) => ({
      ...error,
      instancePath: instancePath + jsonPointer([name]),
      message,
    }))
  if (keyword === 'additionalProperties') return inside(params['additionalProperties'], 'is not known here')
  if (keyword === 'required') return inside(params['requiredProperties'], 'is missing')
  // The library stops after some errors, maybe before the one that has all names.
  if (keyword === 'boolean') return [{ ...error, message: 'is not known here' }]
  if (keyword === 'enum') return [{ ...error, message: allowed(params['allowedValues']) }]
  return [{ ...error, message: keyword === 'anyOf' ? 'has none of the allowed forms' : error.message }]
}

function allowed(values: unknown): string {
  return Array.isArray(values) ? `must be one of ${values.map(String).join(', ')}` : 'is not an allowed value'
}
