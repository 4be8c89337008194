import type { AttemptFacts, CommandFacts, PhoneFacts, Rule, UserFacts } from '../facts.ts'
import * as apple from './apple.ts'
import * as command from './command.ts'
import * as device from './device.ts'
import * as entering from './entering.ts'
import * as user from './user.ts'

// What is told first. Of several things that are wrong with something the first rule that finds one says why: what nobody but a person
// can end comes before what ends by itself, and what stands in the way of everything before what concerns one thing.

/** Of a device: why it has not enrolled, and why it does not get what it is to get. */
export const PHONE_RULES: readonly Rule<PhoneFacts>[] = [
  // Whether it may come in at all.
  entering.blocked,
  entering.refusedNow,
  entering.takenBack,
  entering.underWay,
  device.left,
  apple.lost,
  // What keeps Apple from telling it where to go.
  apple.tokenUnusable,
  apple.termsNotSigned,
  apple.syncFailing,
  apple.withoutPolicy,
  apple.assignmentFailed,
  apple.assignmentThrottled,
  apple.assignmentPending,
  // It would come in, or be woken, but for this.
  device.pushCertificateUnusable,
  entering.refusedBefore,
  entering.notContacted,
  // It is enrolled: what it waits for.
  device.pushGone,
  device.approvalWaiting,
  device.heldInSetup,
  device.notNow,
  device.queued,
  device.deliveryFailed,
  device.deliveryHalted,
  device.deliveryWaiting,
  device.actRefused,
  device.lastCommandFailed,
  device.keptByRollout,
  device.blockedWhileEnrolled,
  device.enrolled,
]

/** Of a command, by its delivery that is the least done. */
export const COMMAND_RULES: readonly Rule<CommandFacts>[] = [
  command.failed,
  command.expired,
  command.endedWithEnrollment,
  command.cancelled,
  command.pushCertificateUnusable,
  command.pushGone,
  command.queued,
  command.done,
]

/** Of a person. */
export const USER_RULES: readonly Rule<UserFacts>[] = [
  user.disabled,
  user.mustChangePassword,
  user.passwordExpired,
  user.refused,
  user.atLimit,
  user.refusedBefore,
  user.enrolled,
]

/** Of an attempt. */
export const ATTEMPT_RULES: readonly Rule<AttemptFacts>[] = [
  entering.attemptRefused,
  entering.attemptUnderWay,
  entering.attemptEnrolled,
]

/** What the first of the rules that finds something says. The last rule of each list finds something. */
export function firstOf<Facts>(rules: readonly Rule<Facts>[], facts: Facts) {
  for (const rule of rules) {
    const found = rule(facts)
    if (found !== undefined) return found
  }
  throw new Error('no rule explains this')
}
