import { withoutNul, type Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { newId } from '../../kernel/ids.ts'
import type { Events, NewEvent } from '../events/index.ts'
import {
  closeAttempt,
  expireAttempts,
  insertAttempts,
  insertSteps,
  lockOpenOf,
  updateFacts,
  type OpenAttempt,
} from './store.ts'
import { toEvent } from './timeline.ts'
import type { Attempt, AttemptFacts, Contact, ContactOutcome, NewStep } from './types.ts'

/** What is written for one contact. */
interface Plan {
  contact: Contact
  id: string
  joined: OpenAttempt | undefined
  abandoned: OpenAttempt[]
}

/**
 * Records contacts of devices at power-on, each of another serial number, in a few statements for all of them. A contact
 * joins the attempt in progress of its device as long as that was given no profile; any other attempt of the serial number
 * is abandoned then. The caller holds a lock for each serial number.
 */
export async function recordContacts(
  trx: Tx,
  { clock, events }: { clock: Clock; events: Pick<Events, 'emit'> },
  given: readonly Contact[],
): Promise<ContactOutcome[]> {
  const now = clock.now()
  const contacts = withoutNul(given)
  const serials = contacts.filter(({ apart }) => !apart).map(({ attempt }) => attempt.serial_number)
  const open = await lockOpenOf(trx, serials)
  const plans = contacts.map((contact) => plan(contact, open, now))
  const fresh = plans.filter(({ joined }) => joined === undefined)
  await insertAttempts(
    trx,
    fresh.map(({ id, contact }) => ({ id, ...contact.attempt, ...contact.facts })),
    now,
  )
  for (const { id, joined, contact } of plans) {
    const facts: AttemptFacts = { deadline: contact.attempt.deadline, ...contact.facts }
    if (joined !== undefined) await updateFacts(trx, id, facts, now)
  }
  const abandoned = plans.flatMap((each) => each.abandoned.map((attempt) => ({ attempt, by: each.id })))
  if (abandoned.length > 0)
    await expireAttempts(
      trx,
      abandoned.map(({ attempt }) => attempt.id),
      'abandoned',
      now,
    )
  await insertSteps(trx, [...abandoned.map(abandonedStep), ...plans.flatMap(stepsOf)], now)
  for (const { id, contact } of plans) {
    const { refusal } = contact
    if (refusal?.ends)
      await closeAttempt(trx, id, { from: ['in_progress'], to: 'rejected', reason: refusal.reason }, now)
  }
  await events.emit(trx, ...abandoned.map(abandonedEvent), ...plans.flatMap((each) => eventsOf(each, now)))
  return plans.map(({ id, abandoned: gone }) => ({ id, abandoned: gone.map((attempt) => attempt.id) }))
}

function plan(contact: Contact, open: readonly OpenAttempt[], now: Date): Plan {
  const { attempt, apart = false } = contact
  const mine = apart ? [] : open.filter(({ serial_number }) => serial_number === attempt.serial_number)
  const joined = mine.findLast(
    (each) =>
      !each.has_profile &&
      each.way === attempt.way &&
      each.udid === (attempt.udid ?? null) &&
      each.policy_id === (attempt.policy_id ?? null),
  )
  return {
    contact,
    id: joined?.id ?? newId(now),
    joined,
    abandoned: mine.filter((each) => each !== joined),
  }
}

function stepsOf({ id, contact }: Plan): (NewStep & { attempt_id: string })[] {
  const { steps, refusal } = contact
  const last: NewStep[] =
    refusal === undefined
      ? []
      : [
          {
            step: refusal.step,
            outcome: 'refused',
            reason: refusal.reason,
            ...(refusal.detail && { detail: refusal.detail }),
          },
        ]
  return [...steps, ...last].map((step) => ({ ...step, attempt_id: id }))
}

function abandonedStep({ attempt, by }: { attempt: OpenAttempt; by: string }) {
  return {
    attempt_id: attempt.id,
    step: 'contact',
    outcome: 'refused',
    reason: 'abandoned',
    detail: { newer_attempt_id: by },
  } as const
}

function abandonedEvent({ attempt, by }: { attempt: OpenAttempt; by: string }): NewEvent {
  return toEvent(attempt, {
    type: 'enrollment.abandoned',
    reason: 'abandoned',
    data: { newer_attempt_id: by },
  })
}

function eventsOf({ id, joined, contact }: Plan, now: Date): NewEvent[] {
  const { refusal, request_id, facts = {} } = contact
  const attempt = { ...asAttempt(id, contact, now), ...joined, ...facts }
  const started = toEvent(attempt, { type: 'enrollment.started' })
  const told = joined === undefined ? [{ ...started, ...(request_id && { request_id }) }] : []
  if (refusal === undefined) return told
  const refused = toEvent(attempt, {
    type: refusal.ends ? 'enrollment.rejected' : 'enrollment.sign_in_refused',
    reason: refusal.reason,
    data: { step: refusal.step, ...refusal.detail },
  })
  return [...told, { ...refused, ...(request_id && { request_id }) }]
}

function asAttempt(id: string, { attempt }: Contact, now: Date): Attempt {
  return {
    ...{ id, outcome: 'in_progress', reason: null, closed_at: null, created_at: now, updated_at: now },
    ...{ udid: null, user_id: null, user_name: null, policy_id: null, link_id: null, enrollment_id: null },
    ...attempt,
  }
}
