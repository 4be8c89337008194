import type { CommandFacts, Finding } from '../facts.ts'
import * as device from './device.ts'
import { isEnrolled } from './states.ts'

// Why a command is not done.

/** With several devices, how many are in which state. */
function amongAll({ counts }: CommandFacts, sentence: string): string {
  const total = [...counts.values()].reduce((sum, each) => sum + each, 0)
  if (total <= 1) return sentence
  const told = [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
  return `Of ${total} devices: ${told}; ${sentence}`
}

function ended(facts: CommandFacts, ...states: string[]): Finding | undefined {
  const { command, delivery, phone } = facts
  if (delivery === undefined || !states.includes(delivery.state)) return undefined
  const found = device.ofEnd(delivery, command.request_type, phone.name)
  return { ...found, sentence: amongAll(facts, found.sentence), since: delivery.finished_at }
}

/** The device has answered with an error. */
export const failed = (facts: CommandFacts) => ended(facts, 'error', 'format_error')
/** Its time was over. */
export const expired = (facts: CommandFacts) => ended(facts, 'expired')
/** It was taken back, or turned out to be unsuited. */
export const cancelled = (facts: CommandFacts) => ended(facts, 'cancelled')

/** Its device has left. */
export function endedWithEnrollment(facts: CommandFacts): Finding | undefined {
  const { command, delivery, phone } = facts
  if (delivery?.state !== 'cancelled' || delivery.reason !== 'unenrolled') return undefined
  return {
    reason: 'unenrolled',
    since: delivery.finished_at,
    sentence: amongAll(
      facts,
      `${command.request_type} was cancelled because the enrollment of ${phone.name} ended.`,
    ),
    next_step: isEnrolled(phone)
      ? 'Nothing goes on by itself: the device is enrolled anew, so send the command again if it is still wanted.'
      : 'Nothing goes on by itself: send the command again when the device is enrolled again.',
  }
}

const isPending = ({ delivery }: CommandFacts) =>
  delivery !== undefined && ['queued', 'sent', 'not_now'].includes(delivery.state)

function ofDevice(facts: CommandFacts, found: Finding | undefined): Finding | undefined {
  if (found === undefined || !isPending(facts)) return undefined
  const { command, phone } = facts
  const sentence = `${command.request_type} waits for ${phone.name}: ${found.sentence}`
  return { ...found, sentence: amongAll(facts, sentence) }
}

/** Nobody can be woken. */
export const pushCertificateUnusable = (facts: CommandFacts) =>
  ofDevice(facts, device.pushCertificateUnusable(facts.phone))
/** Its device cannot be woken any more. */
export const pushGone = (facts: CommandFacts) => ofDevice(facts, device.pushGone(facts.phone))

/** It waits, or was put off. */
export function queued(facts: CommandFacts): Finding | undefined {
  const { command, delivery, phone } = facts
  if (delivery === undefined) return undefined
  const { state } = delivery
  if (state !== 'queued' && state !== 'sent' && state !== 'not_now') return undefined
  const { request_type, not_before } = command
  const found = device.ofQueued({ ...delivery, state, request_type, not_before }, phone)
  return { ...found, sentence: amongAll(facts, found.sentence) }
}

/** It is done, or nothing is known of it any more. */
export function done(facts: CommandFacts): Finding {
  const { command, delivery, phone } = facts
  const what =
    delivery === undefined
      ? `What became of ${command.request_type} is no longer kept.`
      : `${phone.name} has acknowledged ${command.request_type}.`
  return {
    reason: isEnrolled(phone) ? 'enrolled' : 'unenrolled',
    since: delivery?.finished_at ?? command.created_at,
    sentence: amongAll(facts, what),
    next_step: 'Nothing: this is done.',
  }
}
