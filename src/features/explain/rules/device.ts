import type { QueuedCommand } from '../../../db/statements/explain-facts.ts'
import type { Finding, PhoneFacts } from '../facts.ts'
import { at, listed, said, saidByDevice } from '../words.ts'
import { nextTryOf, textOfDelivery, todoOfDelivery } from './delivery-words.ts'
import { isEnrolled, isOurs, lastAlive } from './states.ts'

// Why an enrolled device is as it is, and does not get what it is to get.

/** Ways in which an enrollment ends. */
const ENDS: Readonly<Record<string, string>> = {
  checked_out: 'somebody removed the enrollment profile on the device, or erased it',
  profile_removed: 'it acknowledged the removal of its enrollment profile',
  abandoned: 'it said Authenticate and nothing after that',
  deleted: 'an operator forgot it while it was enrolled',
  serial_number_moved: 'its serial number came back under another UDID',
}

/** Its enrollment has ended. */
export function left(facts: PhoneFacts): Finding | undefined {
  const { device, parent, ade, name } = facts
  if (isEnrolled(facts) && parent?.unenrolled_at == null) return undefined
  const erased = device?.erased_at ?? null
  const ended =
    device?.unenrolled_at ?? parent?.unenrolled_at ?? (device === undefined ? ade?.unenrolled_at : null)
  const since = ended ?? erased
  if (since == null) return undefined
  const why = ENDS[device?.unenroll_reason ?? parent?.unenroll_reason ?? '']
  const policy = isOurs(facts) && ade?.policy_id != null
  return {
    reason: 'unenrolled',
    since,
    sentence:
      ended == null
        ? `${name} has acknowledged that it erases itself, so it is managed no more.`
        : `${name} is no longer enrolled${why === undefined ? '' : `: ${why}`}.`,
    next_step: policy
      ? 'Set it up again after an erasure: it then enrolls by itself under the policy of its serial number.'
      : 'Nothing goes on by itself: give it an enrollment link, or assign its serial number in Apple Business Manager, to have it back.',
  }
}

/** Nobody can be let in or woken. */
export function pushCertificateUnusable(facts: PhoneFacts): Finding | undefined {
  const { certificate, device, now, name } = facts
  const isIn = isEnrolled(facts)
  if (!isIn && !isOurs(facts)) return undefined
  const isExpired = certificate !== undefined && certificate.not_after <= now
  if (certificate !== undefined && !isExpired && certificate.rejected_reason === null) return undefined
  const effect = isIn ? `${name} cannot be woken` : `${name} cannot enroll`
  const what =
    certificate === undefined
      ? `There is no push certificate${isIn && device?.topic != null ? ` for the topic ${device.topic}` : ''}`
      : isExpired
        ? 'The push certificate has expired'
        : `Apple does not take the push certificate${said(certificate.rejected_reason)}`
  return {
    reason: 'push_certificate_missing',
    since: isExpired ? (certificate?.not_after ?? null) : null,
    sentence: `${what}, so ${effect}.`,
    next_step:
      certificate === undefined
        ? 'Upload a valid push certificate; what waits then goes on by itself.'
        : 'Renew the push certificate at Apple with the same Apple ID and upload it; what waits then goes on by itself.',
  }
}

/** Apple says that its token is no longer valid. */
export function pushGone({ device, name }: PhoneFacts): Finding | undefined {
  if (device?.push_state !== 'gone') return undefined
  return {
    reason: 'push_gone',
    since: device.unregistered_at ?? device.last_push_at,
    sentence: `Apple says that the push token of ${name} is no longer valid${said(device.push_reason)}: it was erased, or has lost its enrollment profile.`,
    next_step:
      'It is woken no more, and goes on by itself if it still comes; else set it up again, and delete the enrollment if it is not coming back.',
  }
}

/** It waits in Setup Assistant for what is critical. */
export function heldInSetup({ hold, deliveries, name, now }: PhoneFacts): Finding | undefined {
  if (hold === undefined) return undefined
  const open = deliveries.filter(
    ({ critical, state }) => critical && state !== 'installed' && state !== 'removing',
  )
  const names = open.map((each) => `${nameOf(each)} (${each.reason ?? each.state})`)
  const until = hold.deadline !== null && hold.deadline > now ? hold.deadline : null
  const isTold = hold.reason !== null || (hold.deadline !== null && until === null)
  return {
    reason: 'held_in_setup',
    since: hold.created_at,
    sentence: isTold
      ? `${name} is told to leave Setup Assistant and has not answered yet.`
      : `${name} is held in Setup Assistant${names.length === 0 ? '' : ` until it has ${listed(names)}`}.`,
    next_step: isTold
      ? 'Nothing: it goes on at its next contact; look that it has its network.'
      : `Nothing: it is let go by itself when that is done${until === null ? '' : `, at ${at(until)} at the latest`}.`,
  }
}

/** It has answered NotNow to something that somebody asked for. */
export function notNow(facts: PhoneFacts): Finding | undefined {
  const command = facts.queue.find(({ state }) => state === 'not_now')
  return command && isEnrolled(facts) ? ofQueued(command, facts) : undefined
}

/** Something that somebody asked for waits. */
export function queued(facts: PhoneFacts): Finding | undefined {
  const [command] = facts.queue
  return command && isEnrolled(facts) ? ofQueued(command, facts) : undefined
}

type Waiting = Pick<
  QueuedCommand,
  'state' | 'not_before' | 'not_now_count' | 'sent_at' | 'created_at' | 'request_type'
>

/** Why a command is not done yet. */
export function ofQueued(command: Waiting, facts: PhoneFacts): Finding {
  const { now, name, device, pushNeed } = facts
  const { request_type: type, not_before: notBefore, sent_at: sentAt } = command
  const told = (sentence: string, next_step: string, since = command.created_at): Finding => ({
    reason: command.state === 'not_now' ? 'command_not_now' : 'command_queued',
    ...{ sentence, next_step, since },
  })
  if (command.state === 'not_now')
    return told(
      `${name} has answered NotNow to ${type}${command.not_now_count > 1 ? ` ${command.not_now_count} times` : ''}: it is locked, or busy.`,
      'Nothing: it is asked again by itself; have the device unlocked and left alone for a minute to speed that up.',
      sentAt ?? command.created_at,
    )
  if (notBefore !== null && notBefore > now)
    return told(
      `${type} is not to go out to ${name} before ${at(notBefore)}.`,
      'Nothing: it goes out then by itself.',
    )
  if (command.state === 'sent')
    return told(
      `${type} was sent to ${name}, which has not answered it yet.`,
      'Nothing: it goes out again by itself at the next contact if no answer comes.',
      sentAt ?? command.created_at,
    )
  if (device?.push_state === 'waiting_for_token')
    return told(
      `${type} waits for ${name}, which has given no push token yet and so cannot be woken.`,
      'Nothing: it goes out when the device comes by itself.',
    )
  if (pushNeed !== undefined && pushNeed.pushed_at === null && pushNeed.attempts > 0)
    return told(
      `${type} waits for ${name}, and the pushes that are to wake it fail${said(device?.last_push_result)}.`,
      'Pushes are tried again by themselves; look whether this server reaches the push service of Apple.',
    )
  return told(
    `${type} waits for the next contact of ${name}${seen(facts)}.`,
    'Nothing: it goes out at the next contact; a device that does not come is switched off or has no network.',
  )
}

function seen(facts: PhoneFacts): string {
  const alive = lastAlive(facts)
  return alive === null ? '' : `, which was last seen at ${at(alive)}`
}

const nameOf = ({ name, identifier, id }: { name: string | null; identifier: string | null; id: string }) =>
  name ?? identifier ?? id

/** Something of its groups has failed. */
export function deliveryFailed(facts: PhoneFacts): Finding | undefined {
  const { deliveries, halted, name } = facts
  const [one, ...more] = deliveries.filter(({ state }) => state === 'failed')
  if (one === undefined) return undefined
  const isHalted = halted.some((rollout) => rollout.kind === one.kind && rollout.thing_id === one.id)
  return {
    reason: 'delivery_failed',
    since: one.updated_at,
    sentence: `The ${one.kind} ${nameOf(one)} has failed on ${name}: ${textOfDelivery(one.reason)}${saidByDevice(one.error_chain)}${more.length > 0 ? `; so have ${more.length} more` : ''}.`,
    next_step: isHalted
      ? 'Its rollout is halted, so it is not tried again: mend it, then resume the rollout or roll it back.'
      : `${todoOfDelivery(one.reason)}${nextTryOf(one.next_try_at)}.`,
  }
}

/** Something is kept back because its rollout is halted. */
export function deliveryHalted(facts: PhoneFacts): Finding | undefined {
  const { deliveries, halted, name } = facts
  for (const rollout of halted) {
    const one = deliveries.find(({ kind, id }) => kind === rollout.kind && id === rollout.thing_id)
    if (one?.state !== 'waiting' || one.reason !== 'rollout') continue
    return ofHalted(`${name} does not get the ${one.kind} ${nameOf(one)}: its rollout is halted`, rollout)
  }
  return undefined
}

/** It keeps an older revision because the rollout of the newer one is halted. */
export function keptByRollout(facts: PhoneFacts): Finding | undefined {
  const { deliveries, halted, name } = facts
  for (const rollout of halted) {
    const one = deliveries.find(({ kind, id }) => kind === rollout.kind && id === rollout.thing_id)
    if (one === undefined || one.state === 'removing' || one.revision === rollout.revision) continue
    return ofHalted(
      `${name} keeps revision ${one.revision ?? 'none'} of the ${one.kind} ${nameOf(one)}: the rollout of revision ${rollout.revision} is halted`,
      rollout,
    )
  }
  return undefined
}

function ofHalted(what: string, { reason, updated_at: since }: PhoneFacts['halted'][number]): Finding {
  return {
    reason: 'rollout_halted',
    since,
    sentence: `${what}${reason === 'failures' ? ', as too many devices have failed' : said(reason)}.`,
    next_step: 'Nothing goes on by itself: mend what fails, then resume the rollout or roll it back.',
  }
}

/** Something of its groups is on its way, or held back. */
export function deliveryWaiting(facts: PhoneFacts): Finding | undefined {
  const { deliveries, name } = facts
  const isHeld = (state: string) => state === 'waiting'
  const isOpen = (state: string) => state === 'pending' || state === 'sent' || state === 'removing'
  const one = deliveries.find(({ state }) => isHeld(state)) ?? deliveries.find(({ state }) => isOpen(state))
  if (one === undefined) return undefined
  const what = `${one.kind} ${nameOf(one)}`
  const since = one.updated_at
  if (isHeld(one.state))
    return {
      reason: 'delivery_waiting',
      since,
      sentence: `The ${what} waits on its way to ${name}: ${textOfDelivery(one.reason)}.`,
      next_step: `${todoOfDelivery(one.reason)}${nextTryOf(one.next_try_at)}.`,
    }
  const sentence =
    one.state === 'removing'
      ? `The ${what} is on its way off ${name}.`
      : one.state === 'sent'
        ? `The ${what} has gone out to ${name}, which does not have it yet.`
        : `The ${what} is to go out to ${name}${seen(facts)}.`
  return {
    reason: 'delivery_waiting',
    ...{ since, sentence },
    next_step:
      'Nothing: it goes on at the next contact; a device that does not come is switched off or has no network.',
  }
}

/** What somebody asked for last was not done. */
export function lastCommandFailed({ lastEnd, name }: PhoneFacts): Finding | undefined {
  if (lastEnd === undefined) return undefined
  const { state, request_type: type, reason, finished_at: since } = lastEnd
  if (state === 'acknowledged') return undefined
  return { ...ofEnd({ state, reason, error_chain: lastEnd.error_chain }, type, name), since }
}

/** Why a command has ended without being done. */
export function ofEnd(
  { state, reason, error_chain }: { state: string; reason: string | null; error_chain: unknown },
  type: string,
  name: string,
): Omit<Finding, 'since'> {
  const failed = 'command_failed' as const
  if (reason === 'governor_stopped')
    return {
      reason: 'governor_stopped',
      sentence: `${type} was not sent to ${name}, because somebody stopped all that destroys something.`,
      next_step:
        'Nothing goes on by itself: send it again, if it is still wanted, when an administrator has resumed.',
    }
  switch (state) {
    case 'error':
      return {
        reason: failed,
        sentence: `${name} has answered ${type} with an error${saidByDevice(error_chain)}.`,
        next_step: 'Nothing goes on by itself: mend what the error names, and send the command again.',
      }
    case 'format_error':
      return {
        reason: failed,
        sentence: `${name} could not read ${type}.`,
        next_step: 'Nothing goes on by itself: correct the command, and send it again.',
      }
    case 'expired':
      return {
        reason: failed,
        sentence: `${type} has expired before ${name} came for it.`,
        next_step: 'Nothing goes on by itself: send it again, with more time, when the device is on.',
      }
    default:
      return {
        reason: failed,
        sentence:
          reason === null
            ? `Somebody has cancelled ${type} before it went out to ${name}.`
            : `${type} was not sent to ${name}${said(reason)}.`,
        next_step:
          reason === null
            ? 'Nothing goes on by itself: send it again if it is still wanted.'
            : 'Nothing goes on by itself: send a command that suits the device, or send it anew to the enrollment of now.',
      }
  }
}

/** It works, but it would not come in again. */
export function blockedWhileEnrolled(facts: PhoneFacts): Finding | undefined {
  const { ade, name } = facts
  if (ade === undefined || ade.blocked_at === null || !isOurs(facts)) return undefined
  return {
    reason: 'blocked',
    since: ade.blocked_at,
    sentence: `${name} is enrolled and works, but it is blocked, so it is refused when it is set up the next time.`,
    next_step:
      'Nothing as long as it stays enrolled; unblock it if it may come again, or unenroll it if it is to go.',
  }
}

/** Nothing is wrong that can be known here. */
export function enrolled(facts: PhoneFacts): Finding {
  const { device, name } = facts
  return {
    reason: 'enrolled',
    since: device?.enrolled_at ?? null,
    sentence: `${name} is enrolled${seen(facts)}, and nothing is in its way.`,
    next_step: 'Nothing: commands and deliveries go out at its next contact by themselves.',
  }
}

/** Somebody asked for what a second person has to approve. */
export function approvalWaiting({ approval, name }: PhoneFacts): Finding | undefined {
  if (approval === undefined) return undefined
  const { act, asked_by: by, expires_at: until } = approval
  return {
    reason: 'approval_waiting',
    since: approval.created_at,
    sentence: `${by.name} asked for ${worded(act)} of ${name}, which waits for the approval of another person.`,
    next_step: `Another person approves or rejects it (firstboot approvals approve ${approval.id}); else it ends by itself at ${at(until)}.`,
  }
}

/** What somebody asked for was refused, because it was too much or because all is stopped. */
export function actRefused({ refusedAct, name, lastEnd }: PhoneFacts): Finding | undefined {
  if (refusedAct === undefined || (lastEnd?.finished_at ?? 0) > refusedAct.at) return undefined
  const isStopped = refusedAct.reason === 'governor_stopped'
  return {
    reason: isStopped ? 'governor_stopped' : 'command_failed',
    since: refusedAct.at,
    sentence: isStopped
      ? `The ${worded(refusedAct.act)} of ${name} was refused, because all that destroys something is stopped.`
      : `The ${worded(refusedAct.act)} of ${name} was refused, because it was beyond the limit for such acts.`,
    next_step: isStopped
      ? 'An administrator lets acts go on (firstboot governor resume); then ask for it again.'
      : 'Ask for it again when the hour is over, or by a way in which a second person can approve it.',
  }
}

function worded(act: string): string {
  return act.replaceAll('_', ' ')
}
