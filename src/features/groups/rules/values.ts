import type { Fault } from '../../../kernel/errors.ts'
import { parseTime } from '../../../kernel/rfc3339.ts'
import type { factOf, Op } from './facts.ts'
import { parseAge } from './times.ts'
import { buildParts, versionParts } from './versions.ts'

const MAX_TEXT = 512
const MAX_LIST = 1_000

type Fact = NonNullable<ReturnType<typeof factOf>>

/** What is wrong with the value that a fact is compared with. */
export function faultOfValue(fact: Fact, op: Op, value: unknown, pointer: string): Fault[] {
  if (op === 'exists')
    return typeof value === 'boolean' ? [] : [{ pointer, detail: 'It must be true or false.' }]
  if (op === 'starts_with' || op === 'contains')
    return isText(value) ? [] : [{ pointer, detail: `It must be a text of 1 to ${MAX_TEXT} characters.` }]
  if (op !== 'in') return faultOfOne(fact, value, pointer)
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LIST)
    return [{ pointer, detail: `It must be a list of 1 to ${MAX_LIST} values.` }]
  return value.flatMap((each, at) => faultOfOne(fact, each, `${pointer}/${at}`))
}

function faultOfOne({ type, values }: Fact, value: unknown, pointer: string): Fault[] {
  const fault = (detail: string) => [{ pointer, detail }]
  if (type === 'boolean') return typeof value === 'boolean' ? [] : fault('It must be true or false.')
  if (!isText(value)) return fault(`It must be a text of 1 to ${MAX_TEXT} characters.`)
  if (type === 'one_of' && values?.includes(value) === false)
    return fault(`It must be one of ${values.join(', ')}.`)
  if (type === 'version' && versionParts(value).length === 0)
    return fault('It must be a version, such as 17.4.')
  if (type === 'build' && buildParts(value).length === 0) return fault('It must be a build, such as 21E219.')
  if (type === 'time' && parseTime(value) === undefined && parseAge(value) === undefined)
    return fault('It must be a time (RFC 3339), or how long ago, such as -P7D, and at most 100 years.')
  return []
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TEXT
}
