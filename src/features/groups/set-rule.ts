import type { Tx } from '../../db/index.ts'
import { unknownIds } from '../../db/statements/device-facts.ts'
import type { Act } from '../../kernel/act.ts'
import { AppError, type Fault } from '../../kernel/errors.ts'
import { holdStatic, writeRule, type RuleTime } from './membership/index.ts'
import { conditionsOf, idsNamed, readRule, type Rule } from './rules/rule.ts'
import { justBefore, leastSeconds, parseAge, timeAgo } from './rules/times.ts'
import { parseTime } from '../../kernel/rfc3339.ts'

const POINTER = '/rule'

/** The rule in a body. Throws AppError `rule_invalid` with all that is wrong with it. */
export function ruleIn(value: unknown): Rule {
  const read = readRule(value, POINTER)
  if ('faults' in read) throw ruleInvalid(read.faults)
  return read.rule
}

/** Says what is wrong with a rule, or that there is one. */
export function ruleInvalid(faults: readonly Fault[]): AppError {
  const [first] = faults
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
  return new AppError('rule_invalid', `The rule cannot be used: ${first?.pointer}: ${first?.detail}${more}`, {
    faults,
  })
}

/** Gives a group its rule. Throws AppError `rule_invalid` when it names what there is not. */
export async function setRule(trx: Tx, groupId: string, rule: Rule, act: Act, now: Date): Promise<void> {
  const groupIds = await checkNamed(trx, rule)
  await writeRule(trx, groupId, { rule, groupIds, times: timesOf(rule, now) }, act)
}

/** Checks what a rule names by id; gives the static groups, which are kept until the transaction ends. */
export async function checkNamed(trx: Tx, rule: Rule): Promise<string[]> {
  const faults: Fault[] = []
  const groups = idsNamed(rule, 'group_id', POINTER)
  const groupIds = await holdStatic(
    trx,
    groups.map(({ id }) => id),
  )
  for (const { id, pointer } of groups)
    if (!groupIds.has(id)) faults.push({ pointer, detail: 'There is no static group with this id.' })
  for (const [fact, table, what] of [
    ['policy_id', 'enrollment_policies', 'enrollment policy'],
    ['ade_server_id', 'ade_servers', 'ADE server'],
  ] as const) {
    const named = idsNamed(rule, fact, POINTER)
    const unknown = await unknownIds(
      trx,
      table,
      named.map(({ id }) => id),
    )
    for (const { id, pointer } of named)
      if (unknown.has(id)) faults.push({ pointer, detail: `There is no ${what} with this id.` })
  }
  if (faults.length > 0) throw ruleInvalid(faults)
  return [...groupIds]
}

/** The times at which answers of a rule change by themselves, or by a device being heard of. */
function timesOf(rule: Rule, now: Date): RuleTime[] {
  const times = new Map<string, RuleTime>()
  for (const { fact, op, value } of conditionsOf(rule)) {
    if ((fact !== 'enrolled_at' && fact !== 'last_seen_at') || op === 'exists') continue
    for (const each of Array.isArray(value) ? value : [value]) {
      const text = String(each)
      const age = parseAge(text)
      if (age !== undefined)
        times.set(`${fact} ${text}`, {
          fact,
          value: text,
          least_seconds: leastSeconds(age),
          at: null,
          done_to: justBefore(timeAgo(age, now)),
        })
      else if (fact === 'last_seen_at')
        times.set(`${fact} ${text}`, {
          fact,
          value: text,
          least_seconds: null,
          at: parseTime(text) ?? now,
          done_to: null,
        })
    }
  }
  return [...times.values()]
}
