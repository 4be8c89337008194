import type { Db } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { newId } from '../../kernel/ids.ts'
import type { Events } from '../events/index.ts'
import { deleteAttempts, expireAttempts, insertSteps, listSteps, lockOverdue } from './store.ts'
import { ABANDONED, named, nextStep, reasonOfEnd } from './timeline.ts'

/** Attempts closed or deleted in one transaction. */
const BATCH = 200

interface ExpiryDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
}

/** Closes attempts whose deadline has passed as `expired`; returns how many. */
export async function expire(deps: ExpiryDeps): Promise<number> {
  let total = 0
  for (;;) {
    const count = await expireBatch(deps)
    total += count
    if (count < BATCH) return total
  }
}

/** Deletes closed attempts that began more than `days` days ago. */
export async function deleteOld(
  { db, clock }: Pick<ExpiryDeps, 'clock' | 'db'>,
  days: number,
): Promise<void> {
  const bound = newId(addTime(clock.now(), -days, 'day'))
  while ((await deleteAttempts(db.kysely, bound, BATCH)) === BATCH);
}

async function expireBatch({ db, clock, events }: ExpiryDeps): Promise<number> {
  return db.transaction(async (trx) => {
    const now = clock.now()
    const overdue = await lockOverdue(trx, now, BATCH)
    if (overdue.length === 0) return 0
    const ids = overdue.map((attempt) => attempt.id)
    const steps = Map.groupBy(await listSteps(trx, ids), (each) => each.attempt_id)
    const ended = overdue.map((attempt) => {
      const timeline = steps.get(attempt.id) ?? []
      const reached = timeline.findLast(({ outcome }) => outcome === 'passed')?.step
      return { attempt, missing: nextStep(reached), reason: reasonOfEnd(timeline) }
    })
    await expireAttempts(
      trx,
      ended.map(({ attempt: { id }, reason }) => ({ id, reason })),
      now,
    )
    await insertSteps(
      trx,
      ended.map(({ attempt, missing: step }) => ({
        attempt_id: attempt.id,
        step,
        outcome: 'refused',
        reason: ABANDONED,
      })),
      now,
    )
    await events.emit(
      trx,
      ...ended.map(({ attempt, missing, reason }) => ({
        type: 'enrollment.abandoned' as const,
        ...named(attempt),
        reason,
        data: { way: attempt.way, missing },
      })),
    )
    return overdue.length
  })
}
