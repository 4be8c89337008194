import { sql, type RawBuilder } from 'kysely'
import type { Db, Queries, Tx } from '../../../db/index.ts'
import { FACTS_NOW, SEEN_NOW } from '../../../db/statements/device-facts.ts'
import type { Act, Actor } from '../../../kernel/act.ts'
import { sqlOf } from '../rules/rule-store.ts'
import { conditionsOf, readRule, type Rule } from '../rules/rule.ts'

/** A group with its rule. */
export interface RuledGroup {
  id: string
  rule: Rule
}

/** A group that is not evaluated over all devices yet since its rule was set, and who set it. */
interface UnevaluatedGroup extends RuledGroup {
  evaluated_to: string
  rule_set_by: Actor | null
  rule_set_via: string | null
}

type Stored<T> = Omit<T, 'rule'> & { rule: unknown }

/** What was stored was checked before; of a rule that is none any more, nothing follows. */
function readable<T extends RuledGroup>(rows: readonly Stored<T>[]): T[] {
  return rows.flatMap((row) => {
    const read = readRule(row.rule, '')
    return 'rule' in read ? [{ ...row, rule: read.rule } as unknown as T] : []
  })
}

/** Every group that has a rule. */
export async function ruledGroups(trx: Tx): Promise<RuledGroup[]> {
  const { rows } = await sql<Stored<RuledGroup>>`
    select id, rule from groups where rule is not null order by id`.execute(trx)
  return readable(rows)
}

/** A group that is not evaluated over all devices yet; of these the one with the id `id`, if it is given. */
export async function unevaluatedGroup(trx: Tx, id: string | null): Promise<UnevaluatedGroup | undefined> {
  const { rows } = await sql<Stored<UnevaluatedGroup>>`
    select id, rule, evaluated_to, rule_set_by, rule_set_via from groups
    where evaluated_to is not null and rule is not null and (${id}::text is null or id = ${id})
    order by id limit 1`.execute(trx)
  return readable(rows)[0]
}

/** Writes down up to which device a group is evaluated; false when another process did that meanwhile. */
export async function noteEvaluated(
  trx: Tx,
  { id, evaluated_to: before }: UnevaluatedGroup,
  to: string | null,
): Promise<boolean> {
  const result = await sql`
    update groups set evaluated_to = ${to} where id = ${id} and evaluated_to = ${before}`.execute(trx)
  return result.numAffectedRows === 1n
}

/** Whether these devices belong to groups by their rules. */
export function ruleResults(
  groups: readonly RuledGroup[],
  ids: readonly string[],
  now: Date,
): RawBuilder<unknown> {
  const answers = groups.map(({ id, rule }) => sql`(${id}::text, ${sqlOf(rule, now)})`)
  return sql`
    select g.id, f.enrollment_id, g.ok
    from device_facts f cross join lateral (values ${sql.join(answers)}) as g (id, ok)
    where f.enrollment_id = any(${ids}::text[])`
}

/** What is known of a device before it enrols. */
export interface FactsBefore {
  serial_number: string
  policy_id: string | null
  policy_name: string | null
  ade_server_id: string | null
  platform: string | null
}

/** Facts that a device has only once it is here, though the server says them: till then nothing follows from them. */
const NOT_BEFORE = new Set<string>(['enrolled_at', 'group_id', 'last_seen_at', 'user_name', 'way'])
/** A condition of which nothing is known. */
const UNKNOWN: Rule = { fact: 'device_name', op: 'eq', value: '' }

/** To which groups a device will belong by their rules; null: that depends on what is not known yet. */
export async function foretellGroups(
  db: Queries,
  facts: FactsBefore,
  now: Date,
): Promise<{ id: string; is_member: boolean | null }[]> {
  const stored = await sql<Stored<RuledGroup>>`
    select id, rule from groups where rule is not null order by id`.execute(db)
  const groups = readable<RuledGroup>(stored.rows)
  if (groups.length === 0) return []
  const known = JSON.stringify({ ...facts, enrollment_id: '', enrollment_type: 'device' })
  const answers = groups.map(({ id, rule }) => sql`(${id}::text, ${sqlOf(askedBefore(rule), now)})`)
  const { rows } = await sql<{ id: string; is_member: boolean | null }>`
    select g.id, g.ok as is_member from json_populate_record(null::device_facts, ${known}::json) f
    cross join lateral (values ${sql.join(answers)}) as g (id, ok)`.execute(db)
  return rows
}

function askedBefore(rule: Rule): Rule {
  if ('all' in rule) return { all: rule.all.map(askedBefore) }
  if ('any' in rule) return { any: rule.any.map(askedBefore) }
  if ('not' in rule) return { not: askedBefore(rule.not) }
  return NOT_BEFORE.has(rule.fact) ? UNKNOWN : rule
}

/** Who would belong to a group of this rule: how many devices, and the first of them by id. */
export function preview(
  db: Db,
  rule: Rule,
  now: Date,
  limit: number,
): Promise<{ count: number; device_ids: string[] }> {
  return db.bulk(async (trx) => {
    const { rows } = await sql<{ count: number; device_ids: string[] }>`
      with hit as materialized (select f.enrollment_id as id from ${FACTS_NOW} where ${sqlOf(rule, now, SEEN_NOW)})
      select (select count(*) from hit) as count,
        array(select id from hit order by id limit ${limit}) as device_ids`.execute(trx)
    return rows[0]!
  })
}

/** Gives a group its rule: it is evaluated anew over all devices. What it names and compares with is written down. */
export async function writeRule(
  trx: Tx,
  groupId: string,
  { rule, groupIds, times }: { rule: Rule; groupIds: readonly string[]; times: readonly RuleTime[] },
  act: Act,
): Promise<void> {
  await sql`
    update groups set rule = ${JSON.stringify(rule)}::jsonb, evaluated_to = '',
      rule_set_by = ${act.by && JSON.stringify(act.by)}::jsonb, rule_set_via = ${act.via}
    where id = ${groupId}`.execute(trx)
  await sql`delete from group_rule_groups where group_id = ${groupId}`.execute(trx)
  await sql`
    insert into group_rule_groups (group_id, named_group_id)
    select ${groupId}, id from unnest(${groupIds}::text[]) as n (id) order by id`.execute(trx)
  await sql`delete from group_rule_times where group_id = ${groupId}`.execute(trx)
  for (const time of times)
    await trx
      .insertInto('group_rule_times')
      .values({ group_id: groupId, ...time })
      .execute()
}

/** A time with which a rule compares a fact; see the table. */
export interface RuleTime {
  fact: 'enrolled_at' | 'last_seen_at'
  value: string
  least_seconds: number | null
  at: Date | null
  done_to: Date | null
}

/** The static groups among these ids, kept from being deleted until the transaction ends. */
export async function holdStatic(trx: Tx, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    select id from groups where id = any(${ids}::text[]) and kind = 'static' order by id for key share`.execute(
    trx,
  )
  return new Set(rows.map(({ id }) => id))
}

/** A time that moves, and the rule that has it. */
export interface MovingTime extends RuledGroup {
  fact: RuleTime['fact']
  value: string
  done_to: Date
}

/** Every time of rules that moves. */
export async function movingTimes(db: Queries): Promise<MovingTime[]> {
  const { rows } = await sql<Stored<MovingTime>>`
    select t.group_id as id, g.rule, t.fact, t.value, t.done_to
    from group_rule_times t join groups g on g.id = t.group_id
    where t.done_to is not null and g.rule is not null order by t.group_id, t.fact, t.value`.execute(db)
  return readable(rows)
}

/** Locks a time of a rule; undefined when another process has it, or it is gone. */
export async function claimTime(trx: Tx, { id, fact, value }: MovingTime): Promise<Date | undefined> {
  const { rows } = await sql<{ done_to: Date }>`
    select done_to from group_rule_times
    where group_id = ${id} and fact = ${fact} and value = ${value} and done_to is not null
    for update skip locked`.execute(trx)
  return rows[0]?.done_to
}

/** Writes down up to what time devices were looked at. */
export async function noteTime(trx: Tx, { id, fact, value }: MovingTime, to: Date): Promise<void> {
  await sql`
    update group_rule_times set done_to = ${to}
    where group_id = ${id} and fact = ${fact} and value = ${value}`.execute(trx)
}

/** Times after one and up to another; `isBack`: the later ones come first. */
export interface Span {
  after: Date
  to: Date
  isBack: boolean
}

/** The devices of which a fact lies within a span, in its order; more than `limit` where several have the last time. */
export async function devicesWithin(
  db: Queries,
  fact: RuleTime['fact'],
  { after, to, isBack }: Span,
  limit: number,
): Promise<{ id: string; at: Date }[]> {
  const column = sql.ref(fact)
  const { rows } = await sql<{ id: string; at: Date }>`
    select enrollment_id as id, ${column} as at from device_facts
    where ${column} > ${after} and ${column} <= ${to}
    order by ${column} ${sql.raw(isBack ? 'desc' : 'asc')} fetch first ${sql.lit(limit)} rows with ties`.execute(
    db,
  )
  return rows
}

/** Whether a rule looks at when devices were last heard of. */
export function looksAtSeen(rule: Rule): boolean {
  return conditionsOf(rule).some(({ fact }) => fact === 'last_seen_at')
}
