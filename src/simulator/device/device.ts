import { systemClock, type Clock } from '../../kernel/clock.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { KeyPool } from '../key-pool.ts'
import type { DeviceHttp } from '../wire/device-http.ts'
import { watchViolations, type Violation } from '../wire/violations.ts'
import { createChannel, type Channel, type Push } from './channel.ts'
import type { CheckInMessage } from './check-in-messages.ts'
import type { AppsOptions } from './apps/holding.ts'
import { createDecider } from './commands/decider.ts'
import { createMood, type MoodOptions } from './commands/mood.ts'
import { createContact } from './contact.ts'
import { runEnrollment, type EnrollmentOutcome, type EnrollmentSource } from './enrollment.ts'
import { createHandles } from './handles.ts'
import { judgePush } from './push-watch.ts'
import { personActs } from './person-acts.ts'
import { createPolling, type PollingOptions } from './polling.ts'
import { createReporting, type ReportingOptions } from './reporting.ts'
import { selfOf, type SelfOptions } from './self-of.ts'
import { adopt, beginAnew, createState, presentOf, pushSituationOf, tellAll, tokenIsKnown } from './state.ts'

/** What makes a fake device; only facts, http, random and keys are needed. */
export interface DeviceOptions extends ReportingOptions, SelfOptions, PollingOptions {
  http: DeviceHttp
  keys: KeyPool
  clock?: Clock
  mood?: MoodOptions
  /** How apps behave that MDM brings. */
  apps?: AppsOptions
  /** It stays in Setup Assistant until DeviceConfigured. */
  awaitConfiguration?: boolean
  /** A user enrollment: this id instead of UDID and serial number. */
  enrollmentId?: string
  /** Shows its certificate in the TLS handshake instead of signing its messages. */
  tlsIdentity?: boolean
  /** How often a check-in during enrollment is sent again when nobody answers. */
  patience?: number
  onViolation?: (violation: Violation) => void
}

/** A fake device. One call at a time, as a device does one thing at a time. */
export type Device = ReturnType<typeof createDevice>

/** Makes a device as it comes out of its box. */
export function createDevice(options: DeviceOptions) {
  const { facts, http, random, keys, clock = systemClock, patience = 0 } = options
  const state = createState(options, () => clock.now())
  const { own, users } = state
  const { seen, report } = watchViolations(facts.serialNumber, clock, options.onViolation)
  const means = { http, clock, random, keys, report }
  const contact = createContact({
    http,
    present: () => presentOf(state),
    isMac: facts.platform === 'macos',
    tls: options.tlsIdentity ?? false,
    report,
  })
  const reporting = createReporting(state, options, { contact, clock, report })
  const mood = createMood(random.fork('mood'), options.mood)
  const decide = createDecider({
    mood,
    http,
    self: (channel: Channel) => selfOf(state, options, channel),
    install: () => ({
      ...means,
      enrollment: presentOf(state).profile,
      adopt(profile, identity) {
        adopt(state, profile, identity)
        state.updated = true
      },
    }),
    setConfigured: () => void (state.awaiting = false),
  })

  const poll = createPolling(state, { ...means, contact, reporting, decide }, options)

  /** Enrols, or enrols again: new certificate, new token, everything else forgotten. */
  async function enroll(source: EnrollmentSource): Promise<EnrollmentOutcome> {
    beginAnew(state)
    state.awaiting = options.awaitConfiguration ?? false
    const outcome = await runEnrollment(
      {
        ...means,
        facts,
        channel: own,
        contact,
        patience,
        adopt: (profile, identity) => adopt(state, profile, identity),
        tokenKeys: reporting.tokenKeys,
        authenticated: () => tellAll(state, clock.now()),
        announceToken: (token) => options.onToken?.(token),
      },
      source,
    )
    if (outcome.enrolled) {
      state.status = 'enrolled'
      own.confirmed = true
      tokenIsKnown(state)
    }
    return outcome
  }

  return {
    ...createHandles(state, mood),
    facts,
    /** The present enrollment profile and identity; undefined before the first enrollment. */
    profile: () => state.enrollment?.profile,
    identity: () => state.enrollment?.identity,
    violations: () => seen,
    channels: () => [own, ...users] as const,
    /** The commands of a channel (the device's by default) and what was said to them. */
    results: (channel = own) => channel.ledger.all(),
    enroll,
    /** One session on the device's channel, or a user's. */
    poll: (channel = own) => poll(channel),
    /** What its person does with it. */
    get person() {
      return personActs(state)
    },
    /** Judges a push; gives the channel that it wakes. */
    receivePush: (push: Push) => judgePush(push, pushSituationOf(state, clock.now()), report),
    /** Sends TokenUpdate with a new token and magic; `withUnlockToken: false` leaves that one out. */
    updateToken: (asked: { channel?: Channel; withUnlockToken?: boolean } = {}) =>
      reporting.updateToken(asked.channel ?? own, asked.withUnlockToken),
    /** A user signs in: the TokenUpdate of a user channel. `userKeys` are UserID, UserShortName, ... */
    async signIn(userKeys: PlistDict) {
      const channel = createChannel('user', { ...state.ids, ...userKeys })
      const answer = await reporting.updateToken(channel)
      if (answer.kind === 'ok') users.push(channel)
      return { channel, answer }
    },
    /** Any other check-in message; the device's ids are added. */
    checkIn: (message: CheckInMessage, channel = own) => reporting.send({ ...message, ...channel.ids }),
    checkOut: reporting.checkOut,
  }
}
