import { explainReason, type ReasonCode } from '../../attempts/index.ts'
import type { Finding, Refusal, UserFacts } from '../facts.ts'
import { nextStepAfter } from './next-steps.ts'

// Why a person cannot enroll a device.

function ofPerson({ person }: UserFacts, reason: ReasonCode, since: Date): Finding {
  return {
    ...{ reason, since },
    sentence: `${person.user.user_name} cannot sign in to enroll a device: ${explainReason(reason)}`,
    next_step: nextStepAfter(reason, undefined),
  }
}

/** An administrator has disabled them. */
export function disabled(facts: UserFacts): Finding | undefined {
  const { user } = facts.person
  return user.disabled ? ofPerson(facts, 'user_disabled', user.updated_at) : undefined
}

/** They must choose a new password. */
export function mustChangePassword(facts: UserFacts): Finding | undefined {
  const { user } = facts.person
  return user.must_change_password ? ofPerson(facts, 'password_change_required', user.updated_at) : undefined
}

/** Their password is too old. */
export function passwordExpired(facts: UserFacts): Finding | undefined {
  const { password_expires_at: until } = facts.person.user
  return until !== null && until <= facts.now ? ofPerson(facts, 'password_expired', until) : undefined
}

/** Whether what was refused then would not be refused now. */
function isOver({ reason }: Refusal, { person, now }: UserFacts): boolean {
  const { user } = person
  // These three were looked at before.
  if (reason === 'user_disabled' || reason === 'password_change_required') return true
  if (reason === 'password_expired')
    return user.password_expires_at !== null && user.password_expires_at > now
  return reason === 'device_limit_exceeded' || reason === 'user_unknown'
}

/** Their last try was refused for another cause than their limit. */
export function refused(facts: UserFacts): Finding | undefined {
  const { refusal } = facts
  return refusal === undefined || isOver(refusal, facts) ? undefined : ofRefusal(refusal, facts)
}

/** Their last try was refused; it would not be now. */
export function refusedBefore(facts: UserFacts): Finding | undefined {
  const { refusal } = facts
  if (refusal === undefined) return undefined
  return {
    ...ofRefusal(refusal, facts),
    next_step: 'What was in the way is gone: let them try again, and they are let in by themselves.',
  }
}

function ofRefusal({ reason, at: since }: Refusal, { person, attempt }: UserFacts): Finding {
  const serial = attempt?.serial_number ?? null
  return {
    ...{ reason, since },
    sentence: `The last try of ${person.user.user_name} to enroll a device${serial === null ? '' : ` (${serial})`} was refused: ${explainReason(reason)}`,
    next_step: nextStepAfter(reason, undefined),
  }
}

/** They have as many devices as they may have. */
export function atLimit({ person, refusal }: UserFacts): Finding | undefined {
  const { user, places, limit } = person
  if (limit === null || places < limit) return undefined
  return {
    reason: 'user_at_limit',
    since: refusal?.reason === 'device_limit_exceeded' ? refusal.at : null,
    sentence: `${user.user_name} has ${places} of the ${limit} devices that they may have, so another one is refused.`,
    next_step:
      'Unenroll one of their devices or raise their device limit if they need another one; the next try is then let in by itself.',
  }
}

/** Nothing is in their way. */
export function enrolled({ person, attempt }: UserFacts): Finding {
  const { user, places, limit } = person
  const most = limit === null ? '' : ` of the ${limit} that they may have`
  return {
    reason: places > 0 ? 'enrolled' : 'not_contacted',
    since: attempt?.closed_at ?? user.created_at,
    sentence:
      places > 0
        ? `${user.user_name} has ${places} ${places === 1 ? 'device' : 'devices'} enrolled${most}, and nothing is in the way of them.`
        : `${user.user_name} has enrolled no device yet, and nothing is in the way of it.`,
    next_step:
      places > 0
        ? 'Nothing; ask for a device by its serial number to see how it stands.'
        : 'Nothing: they sign in on a device when it is set up, or at the page /enroll.',
  }
}
