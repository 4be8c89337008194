import type { Finding, PhoneFacts } from '../facts.ts'
import { at, said } from '../words.ts'
import { isEnrolled, isToCome } from './states.ts'

// What Apple has of a serial number that has yet to enroll, and what keeps it from having more.

/** Apple had it for us, and has not any more. */
export function lost(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade === undefined || isEnrolled(facts)) return undefined
  const isReleased = ade.released_at !== null
  const since = ade.released_at ?? ade.removed_at
  if (since === null && ade.ade_server_id !== null) return undefined
  return {
    reason: 'unknown_serial',
    since,
    sentence: isReleased
      ? `${name} was released from the organisation, so Apple no longer tells it to enroll here.`
      : `${name} was taken from our server in Apple's portal, so Apple no longer tells it to enroll here.`,
    next_step: isReleased
      ? 'A released device comes back only if it is added to Apple Business Manager anew, by Apple Configurator or by who sold it.'
      : 'Assign it to the server of Firstboot in Apple Business Manager; the next sync brings it back by itself.',
  }
}

/** Apple cannot be called for its server. */
export function tokenUnusable(facts: PhoneFacts): Finding | undefined {
  const { server, now, name } = facts
  if (server === undefined || !isToCome(facts)) return undefined
  const { token_expires_at: until, stopped_reason: stopped } = server
  const which = `ADE server ${server.name}`
  const isExpired = until !== null && until <= now
  if (server.has_token && !isExpired && stopped !== 'token_rejected') return undefined
  const what = !server.has_token
    ? `${which} has no server token`
    : isExpired
      ? `The server token of ${which} has expired`
      : `Apple rejects the server token of ${which}`
  return {
    reason: 'server_token_expired',
    since: isExpired ? until : null,
    sentence: `${what}, so nothing is synced with Apple or assigned there for ${name}.`,
    next_step:
      'Download a new server token for it in Apple Business Manager and upload it here; syncs and assignments then go on by themselves.',
  }
}

/** Apple answers nothing before its terms are accepted. */
export function termsNotSigned(facts: PhoneFacts): Finding | undefined {
  const { server, name } = facts
  if (server?.stopped_reason !== 'terms_not_signed' || !isToCome(facts)) return undefined
  return {
    reason: 'terms_not_signed',
    since: server.sync?.finished_at ?? null,
    sentence: `Apple has new terms that nobody has accepted, so nothing is synced or assigned for ${name} at ADE server ${server.name}.`,
    next_step:
      'Somebody with the role of administrator must sign in to Apple Business Manager (or School Manager) and accept them; then start a sync by hand, and all goes on by itself.',
  }
}

/** The last sync has failed. */
export function syncFailing(facts: PhoneFacts): Finding | undefined {
  const { server, name } = facts
  if (server === undefined || !isToCome(facts)) return undefined
  const { sync, stopped_reason: stopped, next_scheduled_sync_at: next } = server
  const hasFailed = sync !== null && sync.state !== 'succeeded'
  if (stopped === null && !hasFailed) return undefined
  return {
    reason: 'sync_failing',
    since: sync?.finished_at ?? null,
    sentence: `The last sync of ADE server ${server.name} has ${sync?.state === 'timed_out' ? 'timed out' : 'failed'}${said(sync?.error)}, so what Firstboot knows of ${name} may be old.`,
    next_step:
      stopped === null
        ? `${next === null ? 'Start a sync by hand' : `It is tried again by itself at ${at(next)}; start a sync by hand to have it sooner`}, and look whether this server reaches Apple.`
        : 'Look whether the server still exists in Apple Business Manager; make a new token for it there, upload it here, and start a sync by hand.',
  }
}

/** Nobody has given it a policy. */
export function withoutPolicy(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade === undefined || ade.policy_id !== null || !isToCome(facts)) return undefined
  return {
    reason: 'not_assigned',
    since: ade.device_assigned_date ?? ade.created_at,
    sentence: `${name} is known, but no enrollment policy is assigned to it, so it is set up without being enrolled.`,
    next_step:
      'Assign an enrollment policy to it; Apple is told by itself, and the device enrolls at its next set-up.',
  }
}

/** Apple has refused the assignment, or the policy itself. */
export function assignmentFailed(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade === undefined || !isToCome(facts)) return undefined
  const isRefused = ade.assignment_state === 'failed'
  const isHeld = ade.assignment_state === 'pending' && ade.profile_error !== null
  if (!isRefused && !isHeld) return undefined
  const again = isRefused ? ade.assignment_retry_at : ade.profile_retry_at
  return {
    reason: 'assignment_failed',
    since: ade.policy_set_at,
    sentence: isRefused
      ? `Apple has refused to assign the enrollment policy to ${name}${said(ade.assignment_error)}.`
      : `Apple does not take the enrollment policy that ${name} is to have${said(ade.profile_error)}.`,
    next_step: `${isRefused ? 'Look at the device in Apple Business Manager' : 'Correct the policy'}${again === null ? ', and assign it again' : `; it is tried again by itself at ${at(again)}`}.`,
  }
}

/** Apple lets it be tried again later. */
export function assignmentThrottled(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade?.assignment_state !== 'throttled' || !isToCome(facts)) return undefined
  const again = ade.assignment_retry_at
  return {
    reason: 'assignment_throttled',
    since: ade.policy_set_at,
    sentence: `Apple makes the assignment of the enrollment policy to ${name} wait${said(ade.assignment_error)}.`,
    next_step: `Nothing: it is tried again by itself${again === null ? '' : ` at ${at(again)}`}; do not set the device up before that.`,
  }
}

/** Apple does not have it yet. */
export function assignmentPending(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade?.assignment_state !== 'pending' || !isToCome(facts)) return undefined
  return {
    reason: 'assignment_pending',
    since: ade.policy_set_at,
    sentence: `The enrollment policy of ${name} is on its way to Apple${said(ade.assignment_error)}.`,
    next_step:
      'Nothing: it is assigned within moments by itself; set the device up after that, else it does not enroll.',
  }
}
