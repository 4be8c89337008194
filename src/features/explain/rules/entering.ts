import { explainReason } from '../../attempts/index.ts'
import { HALF_ENROLLED_MINUTES } from '../../devices/index.ts'
import type { AttemptFacts, Finding, PhoneFacts, Refusal, TimedAttempt } from '../facts.ts'
import { at } from '../words.ts'
import { isCured, nextStepAfter } from './next-steps.ts'
import { isEnrolled, isHalfEnrolled, isOurs, lastAlive } from './states.ts'

// Why a device has not enrolled.

/** Somebody has blocked its serial number. */
export function blocked(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade === undefined || ade.blocked_at === null || isEnrolled(facts) || !isOurs(facts)) return undefined
  return {
    reason: 'blocked',
    since: ade.blocked_at,
    sentence: `${name} is blocked, so it is refused when it is set up.`,
    next_step: nextStepAfter('blocked', undefined),
  }
}

/** The last try was refused, and as far as is known would be again. */
export function refusedNow(facts: PhoneFacts): Finding | undefined {
  const refusal = standing(facts)
  return refusal === undefined || isCured(refusal.reason, facts) ? undefined : toldOf(refusal, facts)
}

/** The last try was refused; it would not be now. */
export function refusedBefore(facts: PhoneFacts): Finding | undefined {
  const refusal = standing(facts)
  return refusal && toldOf(refusal, facts)
}

/** A refusal after which the device was not heard of as one that is enrolled. */
function standing(facts: PhoneFacts): Refusal | undefined {
  const { refusal, device } = facts
  if (refusal === undefined) return undefined
  const alive = lastAlive(facts)
  if (isEnrolled(facts) && alive !== null && alive >= refusal.at) return undefined
  const left = device?.unenrolled_at ?? facts.ade?.unenrolled_at ?? null
  return left !== null && left > refusal.at ? undefined : refusal
}

function toldOf(refusal: Refusal, { name, ...rest }: PhoneFacts): Finding {
  return {
    reason: refusal.reason,
    since: refusal.at,
    sentence: `${name} was refused${whoOf(refusal)}: ${textOf(refusal)}`,
    next_step: nextStepAfter(refusal.reason, { name, ...rest }),
  }
}

const textOf = ({ reason }: Pick<Refusal, 'reason'>) => explainReason(reason) ?? reason
const whoOf = ({ user_name: user }: Refusal) => (user === null ? '' : ` when ${user} signed in`)

/** It was enrolled by its person, and has to enroll by the policy that its serial number got since. */
export function takenBack(facts: PhoneFacts): Finding | undefined {
  const { attempt, device, name } = facts
  if (attempt?.outcome !== 'enrolled' || attempt.reason !== 'unenrolled_by_assignment') return undefined
  if (device === undefined || device.attempt_id !== attempt.id) return undefined
  return {
    reason: 'unenrolled_by_assignment',
    since: attempt.timeline.at(-1)?.at ?? attempt.updated_at,
    sentence: `${name} was enrolled by its person; its serial number has since been given an enrollment policy, so it must enroll anew.`,
    next_step: isEnrolled(facts)
      ? 'Its removal goes out at its next contact by itself; erase the device then and set it up.'
      : nextStepAfter('unenrolled_by_assignment', undefined),
  }
}

/** It is on its way in at this moment. */
export function underWay(facts: PhoneFacts): Finding | undefined {
  const { attempt, device, name } = facts
  if (device !== undefined && isHalfEnrolled(facts))
    return {
      reason: 'held_in_setup',
      since: device.authenticated_at,
      sentence: `${name} has got its enrollment profile and begun to enroll, but has not sent its push token yet.`,
      next_step: `Nothing: that takes seconds, and after ${HALF_ENROLLED_MINUTES} minutes without it the enrollment ends by itself; look that the device has its network.`,
    }
  if (attempt?.outcome !== 'in_progress') return undefined
  const alive = lastAlive(facts)
  if (isEnrolled(facts) && alive !== null && alive >= attempt.created_at) return undefined
  return onItsWay(attempt, name)
}

function onItsWay(attempt: TimedAttempt, name: string): Finding {
  const reached = attempt.timeline.findLast(({ outcome }) => outcome === 'passed')
  const place = reached === undefined ? '' : `, last at the step ${reached.step}`
  return {
    reason: 'held_in_setup',
    since: attempt.created_at,
    sentence: `${name} is on its way in${place}.`,
    next_step: `Nothing: it goes on by itself as the person goes on; if nothing comes of it by ${at(attempt.deadline)}, the attempt ends.`,
  }
}

/** Everything is ready, and it has not come. */
export function notContacted(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade === undefined || isEnrolled(facts)) return undefined
  const hasCome = ade.contacted_at !== null
  return {
    reason: hasCome ? 'abandoned' : 'not_contacted',
    since: ade.contacted_at ?? ade.assigned_at ?? ade.created_at,
    sentence: hasCome
      ? `${name} has come when it was set up, and did not go on.`
      : `${name} has its enrollment policy at Apple and has not come yet.`,
    next_step: hasCome
      ? nextStepAfter('abandoned', undefined)
      : 'Switch it on and join a network: it enrolls by itself; one that is set up already must be erased first.',
  }
}

/** It was refused, or went nowhere. */
export function attemptRefused({ attempt, refusal, phone }: AttemptFacts): Finding | undefined {
  const isTakenBack = attempt.outcome === 'enrolled' && attempt.reason === 'unenrolled_by_assignment'
  if (isTakenBack) {
    return {
      reason: 'unenrolled_by_assignment',
      since: attempt.updated_at,
      sentence: `It enrolled ${phone.name}, and was taken back: ${textOf({ reason: 'unenrolled_by_assignment' })}`,
      next_step: nextStepAfter('unenrolled_by_assignment', undefined),
    }
  }
  if (refusal === undefined) return undefined
  const step = refusal.step === null ? '' : ` at the step ${refusal.step}`
  const hasEnrolledSince = isEnrolled(phone) && phone.device?.attempt_id !== attempt.id
  return {
    reason: refusal.reason,
    since: refusal.at,
    sentence: `It was refused${step}${whoOf(refusal)}: ${textOf(refusal)}`,
    next_step:
      hasEnrolledSince && (lastAlive(phone) ?? refusal.at) > refusal.at
        ? 'Nothing: the device has enrolled since.'
        : nextStepAfter(refusal.reason, phone),
  }
}

/** It goes on. */
export function attemptUnderWay({ attempt, phone }: AttemptFacts): Finding | undefined {
  return attempt.outcome === 'in_progress' ? onItsWay(attempt, phone.name) : undefined
}

/** It enrolled its device, which may have left since. */
export function attemptEnrolled({ attempt, phone }: AttemptFacts): Finding {
  const { device } = phone
  const isStill = isEnrolled(phone) && device?.attempt_id === attempt.id
  return {
    reason: isStill ? 'enrolled' : 'unenrolled',
    since: isStill
      ? (device?.enrolled_at ?? attempt.closed_at)
      : (device?.unenrolled_at ?? attempt.closed_at),
    sentence: isStill
      ? `It enrolled ${phone.name}, which is still enrolled by it.`
      : `It enrolled ${phone.name}; that enrollment has ended, or another one has taken its place.`,
    next_step: isStill
      ? 'Nothing: this is done.'
      : 'Nothing here; ask for the device itself to see how it stands now.',
  }
}
