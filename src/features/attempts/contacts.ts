import { newId } from '../../kernel/ids.ts'
import type { NewEvent } from '../events/index.ts'
import type { ReasonCode } from './reasons.ts'
import { named } from './timeline.ts'
import type { Contact, ContactPlan, NewStep, OpenAttempt, RecentContact } from './types.ts'

/**
 * Decides what a contact of a device at power-on comes to; `open` is the attempt that it had in progress when that was
 * looked at, `recent` the one in which it said the same within the last hour. A contact joins the open one if it is by the same
 * way, device and policy, and of the same person once there is a certificate. Any other is abandoned for a device that goes
 * on, and never for one that is refused: a profile that was given stays good.
 */
export function planContact(
  contact: Contact,
  open: OpenAttempt | undefined,
  recent: RecentContact | undefined,
  now: Date,
): ContactPlan {
  const { attempt, facts } = contact
  const joined = open && isOf(contact, open) ? open : undefined
  const ends = contact.refusal?.ends === true
  const abandoned = ends || joined !== undefined ? undefined : open
  const id = joined?.id ?? newId(now)
  const told = stepsOf(contact, recent !== undefined && recent.id === joined?.id)
  const repeats = isRepeated(contact, recent, joined, told.at(-1)) ? recent?.id : undefined
  const written = { ...facts, ...endOf(contact) }
  const plan = {
    serial: attempt.serial_number,
    ...(open && { seen: { id: open.id, version: open.version } }),
    ...(joined && { joined: { deadline: attempt.deadline, ...written } }),
  }
  if (repeats !== undefined) return { ...plan, id: repeats, repeats, steps: [], events: [] }
  return {
    ...plan,
    id,
    ...(joined === undefined && { opened: { ...attempt, ...written } }),
    ...(abandoned && { abandoned: abandoned.id }),
    steps: told,
    events: [...(abandoned ? [abandonedEvent(abandoned, id)] : []), ...eventsOf(id, joined, contact)],
  }
}

function isOf({ attempt, facts, refusal }: Contact, open: OpenAttempt): boolean {
  const isAnotherPerson = facts?.user_id !== undefined && facts.user_id !== open.user_id
  return (
    open.enrollment_id === null &&
    !(open.has_certificate && isAnotherPerson) &&
    open.way === attempt.way &&
    open.udid === (attempt.udid ?? null) &&
    open.policy_id === (attempt.policy_id ?? null) &&
    // Whoever can send a copy of what the device said must not end what the device has come to.
    !(open.has_profile && refusal?.ends)
  )
}

/** Whether nothing has come of it but what came of the same words before. */
function isRepeated(
  { isAnswer }: Contact,
  recent: RecentContact | undefined,
  joined: OpenAttempt | undefined,
  last: NewStep | undefined,
): boolean {
  if (isAnswer || recent === undefined || last === undefined) return false
  if (recent.id !== joined?.id && recent.outcome !== 'rejected') return false
  return (
    recent.step === last.step &&
    recent.step_outcome === last.outcome &&
    recent.reason === (last.reason ?? null)
  )
}

/** What a refusal that ends an attempt makes of it. */
function endOf({ refusal }: Contact): { outcome?: 'rejected'; reason?: ReasonCode } {
  return refusal?.ends ? { outcome: 'rejected', reason: refusal.reason } : {}
}

/** What was passed is told once of the same words. */
function stepsOf(contact: Contact, isAgain: boolean): NewStep[] {
  const { checks, steps, refusal, machineInfoHash } = contact
  const [first, ...others] = checks
  const passed =
    isAgain || first === undefined ? [] : [{ ...first, machine_info_hash: machineInfoHash }, ...others]
  if (refusal === undefined) return [...passed, ...steps]
  const { step, reason, detail, user_name } = refusal
  const last: NewStep = {
    step,
    outcome: 'refused',
    reason,
    ...(detail && { detail }),
    ...(user_name !== undefined && { user_name }),
  }
  return [...passed, ...steps, last]
}

function abandonedEvent(attempt: OpenAttempt, by: string): NewEvent {
  return {
    type: 'enrollment.abandoned',
    ...named(attempt),
    reason: 'abandoned',
    data: { way: attempt.way, newer_attempt_id: by },
  }
}

function eventsOf(id: string, joined: OpenAttempt | undefined, contact: Contact): NewEvent[] {
  const { refusal, request_id, facts = {}, isReplayed } = contact
  const attempt = { id, enrollment_id: null, user_name: null, ...contact.attempt, ...joined, ...facts }
  const told: NewEvent[] = []
  const { way } = attempt
  const about = { ...named(attempt), ...(request_id && { request_id }) }
  if (joined === undefined) told.push({ type: 'enrollment.started', ...about, data: { way } })
  if (joined === undefined && isReplayed && !refusal?.ends)
    told.push({ type: 'machine_info.replayed', ...about, data: { way } })
  if (refusal !== undefined) {
    const { step, reason, detail, user_name = attempt.user_name } = refusal
    const type = refusal.ends ? 'enrollment.rejected' : 'enrollment.sign_in_refused'
    told.push({ type, ...about, reason, user_name, data: { way, step, ...detail } })
  }
  return told
}
