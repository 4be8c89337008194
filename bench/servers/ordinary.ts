import type { Tx } from '../../src/db/index.ts'
import type { NewAttempt, NewStep } from '../../src/features/attempts/index.ts'
import type { Events, NewEvent } from '../../src/features/events/index.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { newId } from '../../src/kernel/ids.ts'

/** What the baseline writes of attempts and events: each by an ordinary statement of its own. */
export type Ordinary = ReturnType<typeof createOrdinary>

/** Each is written in the transaction of the caller; an event is announced as soon as its row is there. */
export function createOrdinary({ clock, events }: { clock: Clock; events: Pick<Events, 'announce'> }) {
  async function step(trx: Tx, id: string, ...steps: NewStep[]): Promise<void> {
    const at = clock.now()
    const rows = steps.map(({ detail = {}, step: name, outcome, reason = null }) => ({
      attempt_id: id,
      at,
      step: name,
      outcome,
      reason,
      detail: JSON.stringify(detail),
    }))
    await trx.insertInto('enrollment_attempt_steps').values(rows).execute()
  }

  async function emit(trx: Tx, event: NewEvent): Promise<void> {
    const { data = {}, type, reason = null, ...who } = event
    await trx
      .insertInto('event_outbox')
      .values({
        type,
        reason,
        at: clock.now(),
        data: JSON.stringify(data),
        enrollment_id: who.enrollment_id ?? null,
        serial_number: who.serial_number ?? null,
        user_name: who.user_name ?? null,
        attempt_id: who.attempt_id ?? null,
      })
      .execute()
    events.announce(event)
  }

  return {
    step,
    emit,
    /** Opens an attempt with its first steps. */
    async open(trx: Tx, attempt: NewAttempt, ...steps: NewStep[]): Promise<string> {
      const now = clock.now()
      const id = newId(now)
      await trx
        .insertInto('enrollment_attempts')
        .values({
          id,
          reason: null,
          serial_number: null,
          udid: null,
          user_id: null,
          user_name: null,
          policy_id: null,
          link_id: null,
          enrollment_id: null,
          closed_at: null,
          ...attempt,
          created_at: now,
          updated_at: now,
        })
        .execute()
      await step(trx, id, ...steps)
      const { serial_number = null, way } = attempt
      await emit(trx, { type: 'enrollment.started', attempt_id: id, serial_number, data: { way } })
      return id
    },
  }
}
