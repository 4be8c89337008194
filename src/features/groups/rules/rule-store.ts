import { sql, type RawBuilder } from 'kysely'
import { parseTime } from '../../../kernel/rfc3339.ts'
import { userNameKey } from '../../users/index.ts'
import { FACTS, type Op } from './facts.ts'
import type { Condition, Rule } from './rule.ts'
import { parseAge, timeAgo } from './times.ts'
import { buildParts, versionParts } from './versions.ts'

type Answer = RawBuilder<boolean | null>

const OPERATORS = { eq: '=', ne: '<>', lt: '<', le: '<=', gt: '>', ge: '>=' } as const

/** What stands for the time when a device was last heard of, in the facts as they are written down. */
const SEEN = sql.ref('f.last_seen_at')

/**
 * A rule as SQL over a row `f` of `device_facts`: true, false, or null where it depends on what the device has not told yet. Every
 * value is a parameter. `seen`: the column that says when the device was last heard of.
 */
export function sqlOf(rule: Rule, now: Date, seen: RawBuilder<unknown> = SEEN): Answer {
  if ('all' in rule) return joined(rule.all, ' and ', now, seen)
  if ('any' in rule) return joined(rule.any, ' or ', now, seen)
  if ('not' in rule) return sql<boolean | null>`(not ${sqlOf(rule.not, now, seen)})`
  return conditionOf(rule, now, seen)
}

function joined(rules: readonly Rule[], by: string, now: Date, seen: RawBuilder<unknown>): Answer {
  return sql<boolean | null>`(${sql.join(
    rules.map((each) => sqlOf(each, now, seen)),
    sql.raw(by),
  )})`
}

function conditionOf(condition: Condition, now: Date, seen: RawBuilder<unknown>): Answer {
  const { fact, op, value } = condition
  const { type, by } = FACTS[fact]
  if (type === 'group') return inGroups(op, value)
  const column = fact === 'last_seen_at' ? seen : sql.ref(`f.${fact}`)
  const told = op === 'exists' ? existsOf(column, type, value) : compared(condition, column, now)
  if (by === 'device') return told
  const absent = op === 'ne' || (op === 'exists' && value === false)
  const isAbsent =
    by === 'server'
      ? sql`${column} is null`
      : sql`${column} is null and f.enrollment_type = 'user_enrollment_device'`
  return sql<boolean | null>`(case when ${isAbsent} then ${absent}::boolean else ${told} end)`
}

/** Whether there is such a thing, of a fact that was told. */
function existsOf(column: RawBuilder<unknown>, type: string, value: unknown): Answer {
  const isThere = type === 'boolean' || type === 'time' ? sql`true` : sql`${column} <> ''`
  return sql<
    boolean | null
  >`(case when ${column} is null then null else (${isThere}) = ${value}::boolean end)`
}

function compared({ fact, op, value }: Condition, column: RawBuilder<unknown>, now: Date): Answer {
  const { type } = FACTS[fact]
  switch (type) {
    case 'version':
    case 'build':
      return isPart(op) ? textual(op, column, value) : byParts(type, fact, op, value)
    case 'time':
      return typed(op, column, 'timestamptz', (each) => timeOf(each, now), value)
    case 'boolean':
      return typed(op, column, 'boolean', (each) => each, value)
    case 'folded':
      return textual(op, sql`upper(${column})`, upper(value))
    case 'user_name':
      return textual(op, sql.ref('f.user_name_key'), mapped(value, userNameKey))
    default:
      return textual(op, column, value)
  }
}

function isPart(op: Op): boolean {
  return op === 'starts_with' || op === 'contains'
}

function textual(op: Op, column: RawBuilder<unknown>, value: unknown): Answer {
  if (op === 'starts_with') return sql<boolean | null>`starts_with(${column}, ${value}::text)`
  if (op === 'contains') return sql<boolean | null>`(strpos(${column}, ${value}::text) > 0)`
  return typed(op, sql`${column} collate "C"`, 'text', (each) => each, value)
}

function typed(
  op: Op,
  column: RawBuilder<unknown>,
  type: 'boolean' | 'text' | 'timestamptz',
  map: (value: unknown) => unknown,
  value: unknown,
): Answer {
  if (op === 'in')
    return sql<boolean | null>`(${column} = any(${listOf(value).map(map)}::${sql.raw(type)}[]))`
  const operator = sql.raw(OPERATORS[op as keyof typeof OPERATORS])
  return sql<boolean | null>`(${column} ${operator} ${map(value)}::${sql.raw(type)})`
}

/** What a device told that has no parts is like no version, neither before nor after it. */
function byParts(type: 'build' | 'version', fact: string, op: Op, value: unknown): Answer {
  const parts = sql.ref(`f.${fact}_parts`)
  const map = (each: unknown) => (type === 'version' ? versionParts : buildParts)(String(each))
  const test =
    op === 'in'
      ? sql`array_to_string(${parts}, '.') = any(${listOf(value).map((each) => map(each).join('.'))}::text[])`
      : sql`${parts} ${sql.raw(OPERATORS[op as keyof typeof OPERATORS])} ${map(value)}::integer[]`
  return sql<
    boolean | null
  >`(case when cardinality(${parts}) = 0 then ${op === 'ne'}::boolean else ${test} end)`
}

function inGroups(op: Op, value: unknown): Answer {
  const wanted = op === 'exists' ? sql`g.kind = 'static'` : sql`g.id = any(${listOf(value)}::text[])`
  const isIn = sql`exists (
    select from group_members m join groups g on g.id = m.group_id
    where m.enrollment_id = f.enrollment_id and m.is_member and ${wanted})`
  const isWanted = op === 'exists' ? value === true : op !== 'ne'
  return isWanted ? sql<boolean | null>`${isIn}` : sql<boolean | null>`(not ${isIn})`
}

function timeOf(value: unknown, now: Date): Date {
  const text = String(value)
  const age = parseAge(text)
  const at = age === undefined ? parseTime(text) : timeAgo(age, now)
  if (at === undefined) throw new Error('A rule has a time that is none.')
  return at
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value]
}

function mapped(value: unknown, map: (text: string) => string): unknown {
  return Array.isArray(value) ? value.map((each) => map(String(each))) : map(String(value))
}

function upper(value: unknown): unknown {
  return mapped(value, (text) => text.toUpperCase())
}
