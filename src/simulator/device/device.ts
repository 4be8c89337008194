import type { Clock } from '../../kernel/clock.ts'
import { systemClock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { OID } from '../../protocol/asn1/index.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { Identity } from '../../protocol/x509/index.ts'
import { nameAttribute } from '../../protocol/x509/index.ts'
import type { DeviceFacts } from '../device-facts.ts'
import type { KeyPool } from '../key-pool.ts'
import type { Random } from '../random.ts'
import type { DeviceHttp } from '../wire/device-http.ts'
import type { Violation, ViolationKind } from '../wire/violations.ts'
import { createChannel, renewPush, retirePush, tellRetired } from './channel.ts'
import type { Channel, Push } from './channel.ts'
import { authenticateMessage, checkOutMessage, deviceIds, tokenUpdateMessage } from './check-in-messages.ts'
import type { CheckInMessage } from './check-in-messages.ts'
import { sendCheckIn } from './check-in.ts'
import type { CheckInAnswer } from './check-in.ts'
import { createDecider } from './commands/decider.ts'
import type { DeviceView } from './commands/device-view.ts'
import type { CommandResult } from './commands/ledger.ts'
import { createMood } from './commands/mood.ts'
import type { MoodOptions } from './commands/mood.ts'
import type { InstalledProfiles } from './commands/profile-commands.ts'
import { createContact } from './contact.ts'
import { runEnrollment } from './enrollment.ts'
import type { EnrollmentOutcome, EnrollmentSource } from './enrollment.ts'
import type { EnrollmentProfile } from './profiles/enrollment-profile.ts'
import { judgePush } from './push-watch.ts'
import { runSession } from './session.ts'
import type { SessionReport } from './session.ts'

/** What makes a fake device; only facts, http, random and keys are needed. */
export interface DeviceOptions {
  facts: DeviceFacts
  http: DeviceHttp
  random: Random
  keys: KeyPool
  clock?: Clock
  mood?: MoodOptions
  /** Entries of its InstalledApplicationList (about 900 bytes each): 12,000 make 10 MB. */
  appCount?: number
  /** It stays in Setup Assistant until DeviceConfigured. */
  awaitConfiguration?: boolean
  /** It has an UnlockToken (default) or is without passcode management. */
  unlockToken?: boolean
  sharedUsers?: boolean
  /** A user enrollment: this id instead of UDID and serial number. */
  enrollmentId?: string
  /** Shows its certificate in the TLS handshake instead of signing its messages. */
  tlsIdentity?: boolean
  /** Sends Authenticate too after its enrollment profile was updated, as some versions do. */
  authenticateOnUpdate?: boolean
  /** How often a check-in during enrollment is sent again when nobody answers. */
  patience?: number
  onToken?: (token: string) => void
  onViolation?: (violation: Violation) => void
}

/** `removed`: it checked out, or was told that it is not managed. */
type DeviceStatus = 'new' | 'enrolled' | 'removed' | 'erased'

/** A fake device. One call at a time, as a device does one thing at a time. */
export interface Device {
  readonly facts: DeviceFacts
  status(): DeviceStatus
  /** The present enrollment profile and identity; undefined before the first enrollment. */
  profile(): EnrollmentProfile | undefined
  identity(): Identity | undefined
  violations(): readonly Violation[]
  /** The commands of a channel (the device's by default) and what was said to them. */
  results(channel?: Channel): readonly CommandResult[]
  channels(): readonly Channel[]
  /** Enrols, or enrols again: new certificate, new token, everything else forgotten. */
  enroll(source: EnrollmentSource): Promise<EnrollmentOutcome>
  /** One session on the device's channel, or a user's. */
  poll(channel?: Channel): Promise<SessionReport>
  /** Judges a push; gives the channel that it wakes. */
  receivePush(push: Push): Channel | undefined
  /** Sends TokenUpdate with a new token and magic; `withUnlockToken: false` leaves that one out. */
  updateToken(options?: { channel?: Channel; withUnlockToken?: boolean }): Promise<CheckInAnswer>
  /** A user signs in: the TokenUpdate of a user channel. `keys` are UserID, UserShortName, ... */
  signIn(keys: PlistDict): Promise<{ channel: Channel; answer: CheckInAnswer }>
  /** Any other check-in message, such as SetBootstrapToken; the device's ids are added. */
  checkIn(message: CheckInMessage, channel?: Channel): Promise<CheckInAnswer>
  checkOut(): Promise<CheckInAnswer>
  /** The owner takes the profile away without network: nothing is sent. */
  forget(): void
}

const UNLOCK_TOKEN_BYTES = 256
const PASSCODE_RIGHT = 4

/** Makes a device as it comes out of its box. */
export function createDevice(options: DeviceOptions): Device {
  const { facts, http, random, keys, clock = systemClock, unlockToken = true, sharedUsers = false } = options
  const seen: Violation[] = []
  const profiles: InstalledProfiles = new Map()
  const ids = deviceIds(facts, options.enrollmentId)
  const own = createChannel('device', ids)
  const users: Channel[] = []
  /** Channels of users of an enrollment that is over; a push to them is still judged. */
  const past: Channel[] = []
  const mood = createMood(random.fork('mood'), options.mood)
  let status: DeviceStatus = 'new'
  let enrollment: { profile: EnrollmentProfile; identity: Identity } | undefined
  let awaiting = false
  let updated = false
  let untold: Channel | undefined

  const report = (kind: ViolationKind, detail: string) => {
    const violation = { kind, at: clock.now(), serialNumber: facts.serialNumber, detail }
    seen.push(violation)
    options.onViolation?.(violation)
  }
  const present = () => enrollment ?? refuseState('the device is not enrolled')
  const contact = createContact({
    http,
    report,
    caller: () => ({
      ...present().profile,
      identity: present().identity,
      isMac: facts.platform === 'macos',
      tls: options.tlsIdentity ?? false,
    }),
  })
  const decide = createDecider({
    mood,
    view: () => view(),
    profiles,
    install: () => ({
      http,
      clock,
      random,
      keys,
      profiles,
      report,
      enrollment: present().profile,
      adopt: update,
    }),
    setConfigured: () => void (awaiting = false),
  })

  function view(): DeviceView {
    const certificate = enrollment?.identity.certificate
    const commonName = certificate && (nameAttribute(certificate.subject, OID.commonName) ?? '')
    return {
      facts,
      appCount: options.appCount ?? 5,
      batteryLevel: 0.8,
      awaitingConfiguration: awaiting,
      sharedUsers,
      profiles: [...profiles.values()],
      certificates: certificate ? [{ der: certificate.der, commonName: commonName!, isIdentity: true }] : [],
    }
  }

  function adopt(profile: EnrollmentProfile, identity: Identity): void {
    enrollment = { profile, identity }
    profiles.set(profile.configuration.identifier, { configuration: profile.configuration, managed: false })
  }

  function update(profile: EnrollmentProfile, identity: Identity): void {
    adopt(profile, identity)
    updated = true
  }

  function tokenKeys(withUnlockToken = true): PlistDict {
    const allowed = (present().profile.accessRights & PASSCODE_RIGHT) !== 0
    const withToken = unlockToken && withUnlockToken && allowed && !sharedUsers && !('EnrollmentID' in ids)
    return {
      ...(withToken ? { UnlockToken: random.bytes(UNLOCK_TOKEN_BYTES) } : {}),
      ...(awaiting ? { AwaitingConfiguration: true } : {}),
    }
  }

  /** The enrollment is over; `told`: the server knows. */
  function end(next: DeviceStatus, told: boolean): void {
    status = next
    for (const channel of [own, ...users]) retirePush(channel)
    if (told) tellAll()
  }

  function tellAll(): void {
    for (const channel of [own, ...users, ...past]) tellRetired(channel, clock.now())
  }

  async function send(message: CheckInMessage): Promise<CheckInAnswer> {
    const answer = await sendCheckIn(contact, message, report)
    if (answer.kind === 'unmanaged' && status === 'enrolled') end('removed', true)
    return answer
  }

  async function updateToken(channel: Channel, withUnlockToken = true): Promise<CheckInAnswer> {
    const push = { topic: present().profile.topic, ...renewPush(channel, random) }
    options.onToken?.(push.token.toString('hex'))
    const extra = channel.kind === 'device' ? tokenKeys(withUnlockToken) : {}
    const answer = await send(tokenUpdateMessage(channel.ids, push, extra))
    if (answer.kind === 'ok') {
      channel.confirmed = true
      tellRetired(channel, clock.now())
    }
    untold = answer.kind === 'later' ? channel : undefined
    return answer
  }

  /** After an update of the enrollment profile the device tells of itself again. */
  async function afterUpdate(): Promise<void> {
    updated = false
    if (options.authenticateOnUpdate === true) {
      await send(authenticateMessage(facts, ids, present().profile.topic))
    }
    await updateToken(own)
  }

  async function checkOut(): Promise<CheckInAnswer> {
    const message = checkOutMessage(ids, present().profile.topic)
    const answer = await sendCheckIn(contact, message, report)
    end('removed', answer.kind !== 'later')
    return answer
  }

  async function poll(channel = own): Promise<SessionReport> {
    if (untold !== undefined) await updateToken(untold)
    const { kind, ids: channelIds, ledger } = channel
    const session = await runSession({ contact, kind, ids: channelIds, ledger, decide, report })
    if (session.end === 'unmanaged') end('removed', true)
    if (session.end === 'erased') end('erased', false)
    if (session.end === 'removed' && present().profile.checkOutWhenRemoved) await checkOut()
    else if (session.end === 'removed') end('removed', true)
    if (updated && status === 'enrolled') await afterUpdate()
    return session
  }

  async function enroll(source: EnrollmentSource): Promise<EnrollmentOutcome> {
    end('new', false)
    past.push(...users.splice(0))
    untold = undefined
    own.ledger.clear()
    profiles.clear()
    awaiting = options.awaitConfiguration ?? false
    const outcome = await runEnrollment(
      {
        http,
        clock,
        random,
        keys,
        facts,
        channel: own,
        contact,
        report,
        adopt,
        tokenKeys,
        patience: options.patience ?? 0,
        authenticated: tellAll,
        announceToken: (token) => options.onToken?.(token),
      },
      source,
    )
    if (outcome.enrolled) {
      status = 'enrolled'
      own.confirmed = true
    }
    return outcome
  }

  return {
    facts,
    status: () => status,
    profile: () => enrollment?.profile,
    identity: () => enrollment?.identity,
    violations: () => seen,
    channels: () => [own, ...users],
    results: (channel = own) => channel.ledger.all(),
    enroll,
    poll,
    receivePush(push) {
      const channels = [own, ...users, ...past]
      const removed = status === 'removed'
      const situation = { channels, topic: enrollment?.profile.topic, removed, now: clock.now() }
      return judgePush(push, situation, report)
    },
    updateToken: ({ channel = own, withUnlockToken } = {}) => updateToken(channel, withUnlockToken),
    async signIn(userKeys) {
      const channel = createChannel('user', { ...ids, ...userKeys })
      const answer = await updateToken(channel)
      if (answer.kind === 'ok') users.push(channel)
      return { channel, answer }
    },
    checkIn: (message, channel = own) => send({ ...message, ...channel.ids }),
    checkOut,
    forget: () => end('removed', false),
  }
}

function refuseState(reason: string): never {
  throw new AppError('conflict', reason)
}
