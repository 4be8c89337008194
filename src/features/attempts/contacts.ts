import { newId } from '../../kernel/ids.ts'
import type { NewEvent } from '../events/index.ts'
import type { ReasonCode } from './reasons.ts'
import { toEvent } from './timeline.ts'
import type { Contact, ContactPlan, NewStep, OpenAttempt } from './types.ts'

/**
 * Decides what a contact of a device at power-on comes to; `open` is the attempt that it had in progress when that was
 * looked at. A contact joins it as long as it was given no profile and is by the same way, device and policy; any other is
 * abandoned then.
 */
export function planContact(contact: Contact, open: OpenAttempt | undefined, now: Date): ContactPlan {
  const { attempt, facts, apart = false } = contact
  const mine = apart ? undefined : open
  const joined = mine && isOf(contact, mine) ? mine : undefined
  const abandoned = mine === joined ? undefined : mine
  const id = joined?.id ?? newId(now)
  const told = eventsOf(id, joined, contact)
  const written = { ...facts, ...endOf(contact) }
  return {
    ...{ id, serial: attempt.serial_number },
    ...(mine && { seen: { id: mine.id, version: mine.version } }),
    ...(joined
      ? { joined: { deadline: attempt.deadline, ...written } }
      : { opened: { ...attempt, ...written } }),
    ...(abandoned && { abandoned: abandoned.id }),
    steps: stepsOf(contact),
    events: [...(abandoned ? [abandonedEvent(abandoned, id)] : []), ...told],
  }
}

function isOf({ attempt }: Contact, open: OpenAttempt): boolean {
  return (
    !open.has_profile &&
    open.way === attempt.way &&
    open.udid === (attempt.udid ?? null) &&
    open.policy_id === (attempt.policy_id ?? null)
  )
}

/** What a refusal that ends an attempt makes of it. */
function endOf({ refusal }: Contact): { outcome?: 'rejected'; reason?: ReasonCode } {
  return refusal?.ends ? { outcome: 'rejected', reason: refusal.reason } : {}
}

function stepsOf({ steps, refusal }: Contact): NewStep[] {
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
  return [...steps, ...last]
}

function abandonedEvent(attempt: OpenAttempt, by: string): NewEvent {
  return toEvent(attempt, {
    type: 'enrollment.abandoned',
    reason: 'abandoned',
    data: { newer_attempt_id: by },
  })
}

function eventsOf(id: string, joined: OpenAttempt | undefined, contact: Contact): NewEvent[] {
  const { refusal, request_id, facts = {} } = contact
  const attempt = { id, enrollment_id: null, user_name: null, ...contact.attempt, ...joined, ...facts }
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
