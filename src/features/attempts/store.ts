import { sql } from 'kysely'
import { serialNumberOf } from '../../kernel/serial-number.ts'
import { beginsWith, jsonText, within, withoutNul, type Queries, type Tx } from '../../db/index.ts'
import type { Attempt, AttemptFacts, NewStep, Outcome, TimelineStep } from './types.ts'

/** What a list of attempts is narrowed by; `before` is the id after which the page starts (newest first). */
export interface AttemptQuery {
  serial_number?: string
  user_name?: string
  outcome?: Outcome
  reason?: string
  search?: string
  /** When it began, RFC 3339. */
  since?: string
  until?: string
  before?: string
  limit: number
}

/** Adds lines to the timelines of attempts, in the order given; one that is kept no more gets none. */
export async function insertSteps(
  db: Queries,
  steps: readonly (NewStep & { attempt_id: string })[],
  at: Date,
): Promise<void> {
  if (steps.length === 0) return
  await sql`
    insert into enrollment_attempt_steps (attempt_id, at, step, outcome, reason, user_name, detail)
    select attempt_id, ${at}::timestamptz, step, outcome, reason, user_name, coalesce(detail, '{}')
    from json_to_recordset(${jsonText(steps)}::json) as s (attempt_id text, step text, outcome text,
      reason text, user_name text, detail jsonb)
    where exists (select from enrollment_attempts a where a.id = s.attempt_id)`.execute(db)
}

/** Counts a step once more if it is the last one of the attempt, in its `detail.count`; whether it is. */
export async function countAgain(
  trx: Tx,
  id: string,
  { step, outcome, reason, detail = {} }: NewStep,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update enrollment_attempt_steps
    set detail = detail || jsonb_build_object('count', coalesce((detail ->> 'count')::int, 1) + 1)
    where attempt_id = ${id} and id = (select max(id) from enrollment_attempt_steps where attempt_id = ${id})
      and outcome = ${outcome} and step = ${step} and reason is not distinct from ${reason ?? null}::text
      and detail - 'count' = ${jsonText(detail)}::jsonb`.execute(trx)
  return numAffectedRows === 1n
}

/** Whether an attempt has passed a step. */
export async function hasPassed(trx: Tx, id: string, step: string): Promise<boolean> {
  const row = await trx
    .selectFrom('enrollment_attempt_steps')
    .select('id')
    .where('attempt_id', '=', id)
    .where('step', '=', step)
    .where('outcome', '=', 'passed')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Notes facts, and a reason for an attempt that keeps its outcome; undefined when there is no such attempt. */
export async function updateFacts(
  trx: Tx,
  id: string,
  facts: AttemptFacts & { reason?: string },
  now: Date,
): Promise<Attempt | undefined> {
  return trx
    .updateTable('enrollment_attempts')
    .set({ ...withoutNul(facts), updated_at: now })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
}

/** Closes an attempt if its outcome is one of `from`; the attempt as it is now, or undefined when it was another. */
export async function closeAttempt(
  trx: Tx,
  id: string,
  change: { from: readonly Outcome[]; to: Outcome; reason: string | null },
  now: Date,
): Promise<Attempt | undefined> {
  return trx
    .updateTable('enrollment_attempts')
    .set({ outcome: change.to, reason: change.reason, closed_at: now, updated_at: now })
    .where('id', '=', id)
    .where('outcome', 'in', change.from)
    .returningAll()
    .executeTakeFirst()
}

/** The attempt, or undefined. */
export async function findAttempt(db: Queries, id: string): Promise<Attempt | undefined> {
  return db.selectFrom('enrollment_attempts').selectAll().where('id', '=', withoutNul(id)).executeTakeFirst()
}

/** The attempt, locked until the transaction ends, or undefined. */
export async function lockAttempt(trx: Tx, id: string): Promise<Attempt | undefined> {
  return trx.selectFrom('enrollment_attempts').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/** Locks up to `limit` attempts in progress whose deadline has passed, leaving out those another process holds. */
export async function lockOverdue(trx: Tx, now: Date, limit: number): Promise<Attempt[]> {
  return trx
    .selectFrom('enrollment_attempts')
    .selectAll()
    .where('outcome', '=', 'in_progress')
    .where('deadline', '<=', now)
    .orderBy('deadline')
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute()
}

/** Closes attempts as gone nowhere, each for its reason. */
export async function expireAttempts(
  trx: Tx,
  ended: readonly { id: string; reason: string }[],
  now: Date,
): Promise<void> {
  await sql`
    update enrollment_attempts a set outcome = 'expired', reason = e.reason, closed_at = ${now}::timestamptz,
      updated_at = ${now}::timestamptz
    from json_to_recordset(${jsonText(ended)}::json) as e (id text, reason text) where a.id = e.id`.execute(
    trx,
  )
}

/** The timelines of attempts, each oldest first. */
export async function listSteps(
  db: Queries,
  ids: readonly string[],
): Promise<(TimelineStep & { attempt_id: string })[]> {
  if (ids.length === 0) return []
  return db
    .selectFrom('enrollment_attempt_steps')
    .select(['attempt_id', 'at', 'step', 'outcome', 'reason', 'user_name', 'detail'])
    .where('attempt_id', 'in', ids)
    .orderBy('attempt_id')
    .orderBy('id')
    .execute()
}

/**
 * A page of attempts, newest first. A reason or a person may stand anywhere in the timeline; user names are compared without
 * regard to case and composition.
 */
export async function listAttempts(db: Queries, query: AttemptQuery): Promise<Attempt[]> {
  let select = db
    .selectFrom('enrollment_attempts')
    .selectAll()
    .where(beginsWith(['id', 'serial_number', 'udid', 'user_name'], query.search))
    .where(within('created_at', query))
    .orderBy('id', 'desc')
    .limit(query.limit)
  if (query.before !== undefined) select = select.where('id', '<', withoutNul(query.before))
  if (query.serial_number !== undefined)
    select = select.where('serial_number', '=', serialNumberOf(query.serial_number) ?? '')
  if (query.outcome !== undefined) select = select.where('outcome', '=', query.outcome)
  if (query.reason !== undefined) {
    const { reason } = query
    select = select.where('id', 'in', (eb) =>
      eb.selectFrom('enrollment_attempt_steps').select('attempt_id').where('reason', '=', withoutNul(reason)),
    )
  }
  if (query.user_name !== undefined) {
    const name = sql`lower(normalize(${withoutNul(query.user_name)}::text))`
    select = select.where(sql<boolean>`id in (
      select id from enrollment_attempts where lower(normalize(user_name)) = ${name}
      union all select attempt_id from enrollment_attempt_steps where lower(normalize(user_name)) = ${name})`)
  }
  return select.execute()
}

/** Deletes up to `limit` closed attempts (with their steps) whose id, which tells its time, is below `bound`. */
export async function deleteAttempts(db: Queries, bound: string, limit: number): Promise<number> {
  const result = await db
    .deleteFrom('enrollment_attempts')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('enrollment_attempts')
        .select('id')
        .where('id', '<', bound)
        .where('outcome', '<>', 'in_progress')
        .orderBy('id')
        .limit(limit),
    )
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}
