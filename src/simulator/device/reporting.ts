import type { Clock } from '../../kernel/clock.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { DeviceFacts } from '../device-facts.ts'
import type { Random } from '../random.ts'
import type { ReportViolation } from '../wire/violations.ts'
import { renewPush, tellRetired, type Channel } from './channel.ts'
import { authenticateMessage, checkOutMessage, tokenUpdateMessage } from './check-in-messages.ts'
import type { CheckInMessage } from './check-in-messages.ts'
import { sendCheckIn, type CheckInAnswer } from './check-in.ts'
import type { Contact } from './contact.ts'
import { endEnrollment, presentOf, tokenIsKnown, type DeviceState } from './state.ts'

/** What a device does of its own accord to tell the server of itself. */
export interface ReportingOptions {
  facts: DeviceFacts
  random: Random
  /** It has an UnlockToken (default) or is without passcode management. */
  unlockToken?: boolean
  sharedUsers?: boolean
  /** Sends Authenticate too after its enrollment profile was updated, as some versions do. */
  authenticateOnUpdate?: boolean
  onToken?: (token: string) => void
}

/** The check-in messages of an enrolled device. */
export type Reporting = ReturnType<typeof createReporting>

const UNLOCK_TOKEN_BYTES = 256
const PASSCODE_RIGHT = 4

/** The check-in messages of an enrolled device. */
export function createReporting(
  state: DeviceState,
  options: ReportingOptions,
  { contact, clock, report }: { contact: Contact; clock: Clock; report: ReportViolation },
) {
  const { facts, random, unlockToken = true, sharedUsers = false } = options
  const topic = () => presentOf(state).profile.topic

  /** Keys of TokenUpdate that depend on the device. */
  function tokenKeys(withUnlockToken = true): PlistDict {
    const allowed = (presentOf(state).profile.accessRights & PASSCODE_RIGHT) !== 0
    const isPersonal = 'EnrollmentID' in state.ids
    const withToken = unlockToken && withUnlockToken && allowed && !sharedUsers && !isPersonal
    const token = withToken ? random.bytes(UNLOCK_TOKEN_BYTES) : undefined
    if (token !== undefined) state.condition.unlockTokens.push(token)
    return {
      ...(token === undefined ? {} : { UnlockToken: token }),
      ...(state.awaiting ? { AwaitingConfiguration: true } : {}),
    }
  }

  async function send(message: CheckInMessage): Promise<CheckInAnswer> {
    const answer = await sendCheckIn(contact, message, report)
    if (answer.kind === 'unmanaged' && state.status === 'enrolled')
      endEnrollment(state, 'removed', clock.now())
    return answer
  }

  async function updateToken(channel: Channel, withUnlockToken = true): Promise<CheckInAnswer> {
    const push = { topic: topic(), ...renewPush(channel, random) }
    options.onToken?.(push.token.toString('hex'))
    const extra = channel.kind === 'device' ? tokenKeys(withUnlockToken) : {}
    const answer = await send(tokenUpdateMessage(channel.ids, push, extra))
    if (answer.kind === 'ok') {
      channel.confirmed = true
      tellRetired(channel, clock.now())
      if ('UnlockToken' in extra) tokenIsKnown(state)
    }
    state.untold = answer.kind === 'later' ? channel : undefined
    return answer
  }

  return {
    tokenKeys,
    send,
    updateToken,
    /** After an update of the enrollment profile the device tells of itself again. */
    async afterUpdate(): Promise<void> {
      state.updated = false
      if (options.authenticateOnUpdate === true) await send(authenticateMessage(facts, state.ids, topic()))
      await updateToken(state.own)
    },
    async checkOut(): Promise<CheckInAnswer> {
      const answer = await sendCheckIn(contact, checkOutMessage(state.ids, topic()), report)
      endEnrollment(state, 'removed', answer.kind === 'later' ? undefined : clock.now())
      return answer
    },
  }
}
