import { AppError } from '../../kernel/errors.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { Identity } from '../../protocol/x509/index.ts'
import type { DeviceFacts } from '../device-facts.ts'
import { createChannel, retirePush, tellRetired, type Channel } from './channel.ts'
import { deviceIds } from './check-in-messages.ts'
import type { DeviceView } from './commands/device-view.ts'
import type { InstalledProfiles } from './commands/profile-commands.ts'
import type { EnrollmentProfile } from './profiles/enrollment-profile.ts'

/** `removed`: it checked out, or was told that it is not managed. */
type DeviceStatus = 'new' | 'enrolled' | 'removed' | 'erased'

/** What changes in the life of a device. */
export interface DeviceState {
  status: DeviceStatus
  /** Undefined before the first enrollment. */
  enrollment: { profile: EnrollmentProfile; identity: Identity } | undefined
  /** It stays in Setup Assistant until DeviceConfigured. */
  awaiting: boolean
  /** Its enrollment profile was replaced, and the server is not told yet. */
  updated: boolean
  /** Whose TokenUpdate is to be sent again. */
  untold: Channel | undefined
  readonly profiles: InstalledProfiles
  readonly ids: PlistDict
  readonly own: Channel
  readonly users: Channel[]
  /** Channels of users of an enrollment that is over; a push to them is still judged. */
  readonly past: Channel[]
}

/** A device as it comes out of its box. */
export function createState(facts: DeviceFacts, enrollmentId: string | undefined): DeviceState {
  const ids = deviceIds(facts, enrollmentId)
  return {
    status: 'new',
    enrollment: undefined,
    awaiting: false,
    updated: false,
    untold: undefined,
    profiles: new Map(),
    ids,
    own: createChannel('device', ids),
    users: [],
    past: [],
  }
}

/** The present enrollment; refuses `conflict` before the first one. */
export function presentOf({ enrollment }: DeviceState): NonNullable<DeviceState['enrollment']> {
  if (enrollment === undefined) throw new AppError('conflict', 'the device is not enrolled')
  return enrollment
}

/** From now on the device talks as this. */
export function adopt(state: DeviceState, profile: EnrollmentProfile, identity: Identity): void {
  const { configuration } = profile
  state.enrollment = { profile, identity }
  state.profiles.set(configuration.identifier, { configuration, managed: false })
}

/** All channels that a push may be for, of enrollments that are over too. */
function channelsOf({ own, users, past }: DeviceState): Channel[] {
  return [own, ...users, ...past]
}

/**
 * What a device is at the moment, as far as pushes are concerned; `removed`: it checked out, or was told that it is not
 * managed.
 */
export type PushSituation = ReturnType<typeof pushSituationOf>

/** Of the moment. */
export function pushSituationOf(state: DeviceState, now: Date) {
  const topic = state.enrollment?.profile.topic
  return { channels: channelsOf(state), topic, removed: state.status === 'removed', now }
}

/** The enrollment is over; `told`: when the server learnt of it, if it did. */
export function endEnrollment(state: DeviceState, next: DeviceStatus, told?: Date): void {
  state.status = next
  for (const channel of [state.own, ...state.users]) retirePush(channel)
  if (told !== undefined) tellAll(state, told)
}

/** A device that enrols anew knows nothing of before. */
export function forgetAll(state: DeviceState): void {
  endEnrollment(state, 'new')
  state.past.push(...state.users.splice(0))
  state.untold = undefined
  state.own.ledger.clear()
  state.profiles.clear()
}

/** The server knows that all retired tokens are good for nothing. */
export function tellAll(state: DeviceState, now: Date): void {
  for (const channel of channelsOf(state)) tellRetired(channel, now)
}

/** What it knows of itself when it answers a command. */
export function viewOf(
  { enrollment, awaiting, profiles }: DeviceState,
  {
    facts,
    appCount = 5,
    sharedUsers = false,
  }: { facts: DeviceFacts; appCount?: number; sharedUsers?: boolean },
): DeviceView {
  return {
    facts,
    appCount,
    awaitingConfiguration: awaiting,
    sharedUsers,
    profiles: [...profiles.values()],
    certificate: enrollment?.identity.certificate,
  }
}
