import fc from 'fast-check'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { ruleResults } from '../../../src/features/groups/membership/rules-store.ts'
import type { Rule } from '../../../src/features/groups/rules/rule.ts'
import { versionParts } from '../../../src/features/groups/rules/versions.ts'
import { describeEachEngine } from '../../support/database.ts'

const NOW = new Date('2026-03-31T12:00:00Z')
const VERSIONS = ['9', '17', '17.0.0', '17.0.1', '17.0.1 (a)', '18.1', 'beta']
const NAMES = ['a', 'b', 'ab', '']
const TIMES = ['2026-03-01T00:00:00Z', '2026-03-30T00:00:00Z', '2026-03-24T12:00:00Z']

type Row = { [name: string]: string | boolean | null }

const rows = fc.record({
  device_name: fc.constantFrom(null, ...NAMES),
  policy_name: fc.constantFrom(null, ...NAMES),
  os_version: fc.constantFrom(null, ...VERSIONS),
  supervised: fc.constantFrom(null, true, false),
  enrolled_at: fc.constantFrom(null, ...TIMES),
})
const order = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const
const leaf = (fact: string, ops: readonly string[], values: readonly unknown[]) =>
  fc.oneof(
    fc.record({ fact: fc.constant(fact), op: fc.constantFrom(...ops), value: fc.constantFrom(...values) }),
    fc.record({ fact: fc.constant(fact), op: fc.constant('exists'), value: fc.boolean() }),
    fc.record({
      fact: fc.constant(fact),
      op: fc.constant('in'),
      value: fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
    }),
  )
const texts = [...order, 'starts_with', 'contains']
const rules = fc.letrec<{ rule: Rule }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 4 },
    leaf('device_name', texts, ['a', 'b', 'ab']) as fc.Arbitrary<Rule>,
    leaf('policy_name', texts, ['a', 'b', 'ab']) as fc.Arbitrary<Rule>,
    leaf('os_version', order, VERSIONS.slice(0, -1)) as fc.Arbitrary<Rule>,
    leaf('supervised', ['eq', 'ne'], [true, false]) as fc.Arbitrary<Rule>,
    leaf('enrolled_at', order, [...TIMES, '-P7D']) as fc.Arbitrary<Rule>,
    fc.record({ all: fc.array(tie('rule'), { minLength: 1, maxLength: 3 }) }) as fc.Arbitrary<Rule>,
    fc.record({ any: fc.array(tie('rule'), { minLength: 1, maxLength: 3 }) }) as fc.Arbitrary<Rule>,
    fc.record({ not: tie('rule') }) as fc.Arbitrary<Rule>,
  ),
})).rule

/** The same in another way: true, false, or null for unknown. */
function answer(rule: Rule, row: Row): boolean | null {
  if ('not' in rule) {
    const inner = answer(rule.not, row)
    return inner === null ? null : !inner
  }
  if ('fact' in rule) return holds(rule, row)
  const [answers, decisive] =
    'all' in rule
      ? [rule.all.map((each) => answer(each, row)), false]
      : [rule.any.map((each) => answer(each, row)), true]
  if (answers.includes(decisive)) return decisive
  return answers.includes(null) ? null : !decisive
}

function holds({ fact, op, value }: { fact: string; op: string; value: unknown }, row: Row): boolean | null {
  const told = row[fact] ?? null
  const isServers = fact === 'policy_name' || fact === 'enrolled_at'
  if (told === null) return isServers ? op === 'ne' || (op === 'exists' && value === false) : null
  if (op === 'exists') return (told !== '') === value
  if (op === 'in') return (value as unknown[]).some((each) => holds({ fact, op: 'eq', value: each }, row))
  if (op === 'starts_with') return String(told).startsWith(String(value))
  if (op === 'contains') return String(told).includes(String(value))
  const compared = comparedBy(fact, told, value)
  if (compared === undefined) return op === 'ne'
  return {
    eq: compared === 0,
    ne: compared !== 0,
    lt: compared < 0,
    le: compared <= 0,
    gt: compared > 0,
    ge: compared >= 0,
  }[op]!
}

function comparedBy(fact: string, told: unknown, value: unknown): number | undefined {
  if (fact === 'enrolled_at')
    return (
      Date.parse(String(told)) -
      (value === '-P7D' ? NOW.getTime() - 7 * 86_400_000 : Date.parse(String(value)))
    )
  if (fact !== 'os_version') return Buffer.compare(Buffer.from(String(told)), Buffer.from(String(value)))
  const [a, b] = [versionParts(String(told)), versionParts(String(value))]
  if (a.length === 0) return undefined
  const at = Array.from({ length: 12 }, (_, each) => each).find((each) => (a[each] ?? -1) !== (b[each] ?? -1))
  return at === undefined ? 0 : (a[at] ?? -1) - (b[at] ?? -1)
}

describeEachEngine('rules', (database) => {
  test('the database answers as they are meant, also of what was not told', async () => {
    const db = database()
    const devices = fc
      .sample(rows, { numRuns: 60, seed: 7 })
      .map((row, at) => ({ enrollment_id: `D${at}`, ...row }))
    for (const { os_version, ...device } of devices)
      await db.kysely
        .insertInto('device_facts')
        .values({ ...device, os_version, os_version_parts: os_version && versionParts(os_version) } as never)
        .execute()
    const ids = devices.map((device) => device.enrollment_id)
    await fc.assert(
      fc.asyncProperty(fc.array(rules, { minLength: 1, maxLength: 10 }), async (tried) => {
        const groups = tried.map((rule, at) => ({ id: `G${at}`, rule }))
        const found = await sql<{
          id: string
          enrollment_id: string
          ok: boolean | null
        }>`${ruleResults(groups, ids, NOW)}`.execute(db.kysely)
        const told = new Map(found.rows.map(({ id, enrollment_id, ok }) => [`${id} ${enrollment_id}`, ok]))
        for (const { id, rule } of groups)
          for (const device of devices)
            expect([rule, device, told.get(`${id} ${device.enrollment_id}`)]).toEqual([
              rule,
              device,
              answer(rule, device),
            ])
      }),
      { numRuns: 30 },
    )
  })
})
