import { withoutNul, type Tx } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { newId } from '../../kernel/ids.ts'
import type { NewEvent } from '../events/index.ts'
import type { ReasonCode } from './reasons.ts'
import { lockOpenOf, type OpenAttempt } from './store.ts'
import { toEvent } from './timeline.ts'
import type { Attempt, Contact, ContactPlan, NewStep } from './types.ts'

/** What is written for one contact. */
interface Plan {
  contact: Contact
  id: string
  joined: OpenAttempt | undefined
  abandoned: OpenAttempt[]
}

/**
 * Decides what contacts of devices at power-on, each of another serial number, come to; the caller writes it with `trx`. A
 * contact joins the attempt in progress of its device as long as that was given no profile; any other attempt of the serial
 * number is abandoned then. The caller holds a lock for each serial number.
 */
export async function planContacts(
  trx: Tx,
  { clock }: { clock: Clock },
  given: readonly Contact[],
): Promise<ContactPlan> {
  const now = clock.now()
  const contacts = withoutNul(given)
  const serials = contacts.filter(({ apart }) => !apart).map(({ attempt }) => attempt.serial_number)
  const open = await lockOpenOf(trx, serials)
  const plans = contacts.map((contact) => plan(contact, open, now))
  const abandoned = plans.flatMap((each) => each.abandoned.map((attempt) => ({ attempt, by: each.id })))
  const isFresh = ({ joined }: Plan) => joined === undefined
  return {
    ids: plans.map(({ id }) => id),
    opened: plans.filter(isFresh).map(({ id, contact }) => ({
      ...{ id, ...contact.attempt, ...contact.facts },
      ...endOf(contact),
    })),
    joined: plans
      .filter((each) => !isFresh(each))
      .map(({ id, contact }) => ({
        ...{ id, deadline: contact.attempt.deadline, ...contact.facts },
        ...endOf(contact),
      })),
    abandoned: abandoned.map(({ attempt }) => attempt.id),
    steps: [...abandoned.map(abandonedStep), ...plans.flatMap(stepsOf)],
    events: [...abandoned.map(abandonedEvent), ...plans.flatMap((each) => eventsOf(each, now))],
  }
}

/** What a refusal that ends an attempt makes of it. */
function endOf({ refusal }: Contact): { outcome?: 'rejected'; reason?: ReasonCode } {
  return refusal?.ends ? { outcome: 'rejected', reason: refusal.reason } : {}
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
