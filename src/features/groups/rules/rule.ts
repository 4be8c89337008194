import type { Fault } from '../../../kernel/errors.ts'
import { jsonPointer } from '../../../kernel/json.ts'
import { isRecord } from '../../../kernel/records.ts'
import { factOf, FACTS, OPS, opsOf, type FactName, type Op } from './facts.ts'
import { faultOfValue } from './values.ts'

/** Bounds of a rule: what recurses over one, and what the database makes of it, stays small. */
const MAX_DEPTH = 20
const MAX_CONDITIONS = 200
const MAX_LISTED = 2_000
const MAX_FAULTS = 100

/** What a device must be to belong to a group. */
export type Rule = { all: Rule[] } | { any: Rule[] } | { not: Rule } | Condition

/** One fact, compared with a value. */
export interface Condition {
  fact: FactName
  op: Op
  value: unknown
}

const FORMS = '{"all": [...]}, {"any": [...]}, {"not": {...}} or {"fact": ..., "op": ..., "value": ...}'

interface Reading {
  faults: Fault[]
  conditions: number
  listed: number
}

/** Reads a rule that stands at `pointer` of a body; or says all that is wrong with it. */
export function readRule(value: unknown, pointer: string): { rule: Rule } | { faults: Fault[] } {
  const reading: Reading = { faults: [], conditions: 0, listed: 0 }
  check(value, pointer, 1, reading)
  if (reading.conditions > MAX_CONDITIONS)
    reading.faults.push({ pointer, detail: `It has more than ${MAX_CONDITIONS} conditions.` })
  if (reading.listed > MAX_LISTED)
    reading.faults.push({ pointer, detail: `Its lists have more than ${MAX_LISTED} values.` })
  const { faults } = reading
  return faults.length > 0 ? { faults: faults.slice(0, MAX_FAULTS) } : { rule: value as Rule }
}

function check(value: unknown, pointer: string, depth: number, reading: Reading): void {
  const { faults } = reading
  if (faults.length >= MAX_FAULTS || reading.conditions > MAX_CONDITIONS) return
  if (depth > MAX_DEPTH)
    return void faults.push({ pointer, detail: `It is nested deeper than ${MAX_DEPTH} levels.` })
  if (!isRecord(value)) return void faults.push({ pointer, detail: `It must be ${FORMS}.` })
  const [form, ...more] = ['all', 'any', 'not', 'fact'].filter((name) => Object.hasOwn(value, name))
  if (form === undefined || more.length > 0)
    return void faults.push({ pointer, detail: `It must be ${FORMS}.` })
  const members = form === 'fact' ? ['fact', 'op', 'value'] : [form]
  for (const name of Object.keys(value))
    if (!members.includes(name))
      faults.push({ pointer: pointer + jsonPointer([name]), detail: 'It is not known here.' })
  if (form === 'fact') return checkCondition(value, pointer, reading)
  if (form === 'not') return check(value['not'], `${pointer}/not`, depth + 1, reading)
  const rules = value[form]
  if (!Array.isArray(rules) || rules.length === 0)
    return void faults.push({
      pointer: `${pointer}/${form}`,
      detail: 'It must be a list of at least one rule.',
    })
  for (const [at, rule] of rules.entries()) check(rule, `${pointer}/${form}/${at}`, depth + 1, reading)
}

function checkCondition(value: Record<string, unknown>, pointer: string, reading: Reading): void {
  const { faults } = reading
  reading.conditions += 1
  const { fact: name, op } = value
  const fact = typeof name === 'string' ? factOf(name) : undefined
  if (fact === undefined)
    faults.push({
      pointer: `${pointer}/fact`,
      detail: `There is no such fact; the facts are ${Object.keys(FACTS).join(', ')}.`,
    })
  const known = OPS.find((each) => each === op)
  const allowed = fact === undefined ? OPS : opsOf(fact)
  if (known === undefined || !allowed.includes(known))
    faults.push({ pointer: `${pointer}/op`, detail: `It must be one of ${allowed.join(', ')}.` })
  if (!Object.hasOwn(value, 'value')) return void faults.push({ pointer, detail: 'The value is missing.' })
  if (fact === undefined || known === undefined || !allowed.includes(known)) return
  if (Array.isArray(value['value'])) reading.listed += value['value'].length
  if (reading.listed <= MAX_LISTED)
    faults.push(...faultOfValue(fact, known, value['value'], `${pointer}/value`))
}

/** Every condition of a rule. */
export function conditionsOf(rule: Rule): Condition[] {
  if ('all' in rule) return rule.all.flatMap(conditionsOf)
  if ('any' in rule) return rule.any.flatMap(conditionsOf)
  return 'not' in rule ? conditionsOf(rule.not) : [rule]
}

/** The values that conditions name a thing by, and where in the rule each stands. */
export function idsNamed(rule: Rule, fact: FactName, pointer: string): { id: string; pointer: string }[] {
  if ('all' in rule) return rule.all.flatMap((each, at) => idsNamed(each, fact, `${pointer}/all/${at}`))
  if ('any' in rule) return rule.any.flatMap((each, at) => idsNamed(each, fact, `${pointer}/any/${at}`))
  if ('not' in rule) return idsNamed(rule.not, fact, `${pointer}/not`)
  if (rule.fact !== fact) return []
  const { value } = rule
  if (Array.isArray(value))
    return value.map((id, at) => ({ id: String(id), pointer: `${pointer}/value/${at}` }))
  return typeof value === 'string' ? [{ id: value, pointer: `${pointer}/value` }] : []
}
