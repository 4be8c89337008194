import { systemClock, type Clock } from '../../kernel/clock.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { KeyPool } from '../key-pool.ts'
import type { DeviceHttp } from '../wire/device-http.ts'
import { watchViolations, type Violation } from '../wire/violations.ts'
import { createChannel, type Channel, type Push } from './channel.ts'
import type { CheckInMessage } from './check-in-messages.ts'
import { createDecider } from './commands/decider.ts'
import { createMood, type MoodOptions } from './commands/mood.ts'
import { createContact } from './contact.ts'
import { runEnrollment, type EnrollmentOutcome, type EnrollmentSource } from './enrollment.ts'
import { judgePush } from './push-watch.ts'
import { createReporting, type ReportingOptions } from './reporting.ts'
import { runSession, type SessionReport } from './session.ts'
import {
  adopt,
  createState,
  endEnrollment,
  forgetAll,
  presentOf,
  pushSituationOf,
  tellAll,
  viewOf,
} from './state.ts'

/** What makes a fake device; only facts, http, random and keys are needed. */
export interface DeviceOptions extends ReportingOptions {
  http: DeviceHttp
  keys: KeyPool
  clock?: Clock
  mood?: MoodOptions
  /** Entries of its InstalledApplicationList (about 900 bytes each): 12,000 make 10 MB. */
  appCount?: number
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
  const state = createState(facts, options.enrollmentId)
  const { own, users, profiles } = state
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
  const decide = createDecider({
    mood: createMood(random.fork('mood'), options.mood),
    view: () => viewOf(state, options),
    profiles,
    install: () => ({
      ...means,
      profiles,
      enrollment: presentOf(state).profile,
      adopt(profile, identity) {
        adopt(state, profile, identity)
        state.updated = true
      },
    }),
    setConfigured: () => void (state.awaiting = false),
  })

  /** One session on the device's channel, or a user's. */
  async function poll(channel = own): Promise<SessionReport> {
    if (state.untold !== undefined) await reporting.updateToken(state.untold)
    const { kind, ids, ledger } = channel
    const session = await runSession({ contact, kind, ids, ledger, decide, report })
    if (session.end === 'erased') endEnrollment(state, 'erased')
    if (session.end === 'removed' && presentOf(state).profile.checkOutWhenRemoved) await reporting.checkOut()
    else if (session.end === 'removed' || session.end === 'unmanaged')
      endEnrollment(state, 'removed', clock.now())
    if (state.updated && state.status === 'enrolled') await reporting.afterUpdate()
    return session
  }

  /** Enrols, or enrols again: new certificate, new token, everything else forgotten. */
  async function enroll(source: EnrollmentSource): Promise<EnrollmentOutcome> {
    forgetAll(state)
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
    }
    return outcome
  }

  return {
    facts,
    status: () => state.status,
    /** The present enrollment profile and identity; undefined before the first enrollment. */
    profile: () => state.enrollment?.profile,
    identity: () => state.enrollment?.identity,
    violations: () => seen,
    channels: () => [own, ...users] as const,
    /** The commands of a channel (the device's by default) and what was said to them. */
    results: (channel = own) => channel.ledger.all(),
    enroll,
    poll,
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
    /** The owner takes the profile away without network: nothing is sent. */
    forget: () => endEnrollment(state, 'removed'),
  }
}
