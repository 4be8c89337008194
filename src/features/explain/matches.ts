import { strangersRefused } from '../../db/statements/explain-finding.ts'
import { explainReason } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { CommandFacts, Finding, PhoneFacts, TimedAttempt } from './facts.ts'
import { createLoad, refusalOf, refusedBefore, type LoadDeps } from './load.ts'
import { nextStepAfter } from './rules/next-steps.ts'
import { ATTEMPT_RULES, COMMAND_RULES, firstOf, PHONE_RULES, USER_RULES } from './rules/order.ts'
import { isEnrolled } from './rules/states.ts'

/** Deliveries of a command that are looked at. */
const MOST_DELIVERIES = 1_000
/** How far a delivery is: the least done first. */
const LEAST_DONE = [
  'error',
  'format_error',
  'expired',
  'cancelled',
  'not_now',
  'queued',
  'sent',
  'acknowledged',
]

/** What a match may be; `refusal`: what was refused before anything was known of who came. */
export const KINDS = ['device', 'ade_device', 'attempt', 'user', 'command', 'refusal'] as const

/** A thing that was meant, and why it is as it is. */
export interface Match extends Finding {
  kind: (typeof KINDS)[number]
  id: string
  title: string
}

/** What matches are made from. */
export interface MatchDeps extends LoadDeps {
  commands: Pick<Commands, 'find' | 'deliveries'>
}

/** Says of single things why they are as they are. */
export function createMatches(deps: MatchDeps) {
  const { db, commands, devices, users } = deps
  const queries = db.kysely
  const load = createLoad(deps)

  async function ofAttempt(attempt: TimedAttempt, known?: PhoneFacts): Promise<Match> {
    const id = attempt.enrollment_id
    const device = id === null ? undefined : await devices.findEnrollment(queries, id)
    const phone = known ?? (await load.phone({ device, serial: attempt.serial_number, attempt }))
    const who = attempt.serial_number ?? attempt.udid ?? attempt.user_name ?? 'a device'
    return {
      ...{ kind: 'attempt', id: attempt.id, title: `Attempt of ${who} to enroll` },
      ...firstOf(ATTEMPT_RULES, { attempt, refusal: refusalOf(attempt), phone }),
    }
  }

  async function ofStranger(
    of: { serial: string } | { userName: string },
    facts?: PhoneFacts,
  ): Promise<Match | undefined> {
    const stranger = await strangersRefused(queries, of)
    const refusal = refusedBefore(stranger)
    if (stranger === undefined || refusal === undefined) return undefined
    const who = 'serial' in of ? of.serial : of.userName
    return {
      ...{ kind: 'refusal', id: stranger.id, title: `What was refused to ${who}` },
      reason: refusal.reason,
      since: refusal.at,
      sentence: `Somebody who gave ${who} was refused before an attempt could begin: ${explainReason(refusal.reason)}`,
      next_step: nextStepAfter(refusal.reason, facts),
    }
  }

  return {
    ofAttempt,
    /** An enrollment, be it over. */
    async ofDevice(device: Enrollment): Promise<Match> {
      const facts = await load.phone({ device })
      return { kind: 'device', id: device.id, title: titleOf(facts), ...firstOf(PHONE_RULES, facts) }
    },
    /** A serial number of which no device is, or was, enrolled. */
    async ofSerial(serial: string): Promise<Match | undefined> {
      const facts = await load.phone({ serial })
      if (facts.ade !== undefined)
        return { kind: 'ade_device', id: serial, title: titleOf(facts), ...firstOf(PHONE_RULES, facts) }
      return facts.attempt === undefined ? ofStranger({ serial }, facts) : ofAttempt(facts.attempt, facts)
    },
    /** Somebody who is a user, or has tried to enroll under this name. */
    async ofUser(text: string): Promise<Match | undefined> {
      const found = await users.findByName(queries, text)
      if (found !== undefined) {
        const facts = await load.user(found)
        const title = `User ${found.user_name}`
        return { ...{ kind: 'user', id: found.id, title }, ...firstOf(USER_RULES, facts) }
      }
      const attempt = await load.ofPerson(text)
      return attempt === undefined ? ofStranger({ userName: text }) : ofAttempt(attempt)
    },
    /** A command, whatever the case of its uuid. */
    async ofCommand(text: string): Promise<Match | undefined> {
      const spellings = [...new Set([text, text.toUpperCase(), text.toLowerCase()])]
      const command = (await Promise.all(spellings.map((uuid) => commands.find(uuid)))).find(Boolean)
      if (command === undefined) return undefined
      const { uuid, request_type: type, target_ids: targets } = command
      const deliveries = await commands.deliveries(uuid, targets.slice(0, MOST_DELIVERIES))
      const order = ({ state }: { state: string }) => LEAST_DONE.indexOf(state)
      const [delivery] = deliveries.toSorted((a, b) => order(a) - order(b))
      const counts = new Map<string, number>()
      for (const { state } of deliveries) counts.set(state, (counts.get(state) ?? 0) + 1)
      const device = await devices.findEnrollment(queries, delivery?.enrollment_id ?? targets[0] ?? '')
      const facts: CommandFacts = { command, delivery, counts, phone: await load.phone({ device }) }
      const whom = targets.length === 1 ? facts.phone.name : `${targets.length} devices`
      return { kind: 'command', id: uuid, title: `${type} to ${whom}`, ...firstOf(COMMAND_RULES, facts) }
    },
  }
}

function titleOf(facts: PhoneFacts): string {
  const { device, ade, name } = facts
  const what = device?.model_name ?? device?.product_name ?? ade?.device_family ?? ade?.model
  return what == null || !isEnrolled(facts) ? name : `${name}, ${what}`
}
