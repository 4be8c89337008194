import { withoutNul, type Tx } from '../../src/db/index.ts'
import { insertSteps } from '../../src/features/attempts/store.ts'
import type { NewAttempt, NewStep } from '../../src/features/attempts/index.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { newId } from '../../src/kernel/ids.ts'

/** Writes an attempt that is in progress, with its first steps; its id. */
export async function openAttempt(
  trx: Tx,
  clock: Clock,
  attempt: NewAttempt,
  ...steps: NewStep[]
): Promise<string> {
  const now = clock.now()
  const id = newId(now)
  const unknown = {
    ...{ serial_number: null, udid: null, user_id: null, user_name: null, policy_id: null, link_id: null },
    ...{ reason: null, enrollment_id: null, closed_at: null },
  }
  await trx
    .insertInto('enrollment_attempts')
    .values({ id, ...unknown, ...withoutNul(attempt), created_at: now, updated_at: now })
    .execute()
  await insertSteps(
    trx,
    steps.map((step) => ({ ...step, attempt_id: id })),
    now,
  )
  return id
}
