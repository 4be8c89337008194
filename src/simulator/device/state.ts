import { AppError } from '../../kernel/errors.ts'
import type { PlistDict } from '../../protocol/plist/index.ts'
import type { Identity } from '../../protocol/x509/index.ts'
import type { DeviceFacts } from '../device-facts.ts'
import { createChannel, retirePush, tellRetired, type Channel } from './channel.ts'
import { createHolding, type AppsOptions, type Holding } from './apps/holding.ts'
import { releaseAll } from './apps/app.ts'
import { deviceIds } from './check-in-messages.ts'
import { createCondition, type Condition } from './commands/condition.ts'
import type { EnrollmentProfile } from './profiles/enrollment-profile.ts'
import { dropManaged, keepProfile } from './profiles/installed.ts'
import type { Loss } from './session.ts'

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
  readonly facts: DeviceFacts
  condition: Condition
  readonly holding: Holding
  /** Answers that get lost, in this order; `requestType`: of that command, of the next one when left out. */
  readonly losses: { when: Loss; requestType: string | undefined }[]
  /** How often it was enrolled. */
  lives: number
  /** Its name as it comes out of its box. */
  readonly firstName: string
  readonly now: () => Date
  readonly ids: PlistDict
  readonly own: Channel
  readonly users: Channel[]
  /** Channels of users of an enrollment that is over; a push to them is still judged. */
  readonly past: Channel[]
}

/** A device as it comes out of its box. */
export function createState(
  { facts, enrollmentId, apps }: { facts: DeviceFacts; enrollmentId?: string; apps?: AppsOptions },
  now: () => Date,
): DeviceState {
  const ids = deviceIds(facts, enrollmentId)
  return {
    status: 'new',
    enrollment: undefined,
    awaiting: false,
    updated: false,
    untold: undefined,
    facts,
    condition: createCondition(now()),
    holding: createHolding(apps),
    losses: [],
    lives: 0,
    firstName: facts.deviceName,
    now,
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
  keepProfile(state.own.profiles, configuration, { managed: false, now: state.now() })
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

/**
 * The enrollment is over; `told`: when the server learnt of it, if it did. What it brought goes; an erased device has
 * nothing at all any more.
 */
export function endEnrollment(state: DeviceState, next: 'removed' | 'erased', told?: Date): void {
  state.status = next
  if (next === 'erased') wipe(state)
  else {
    const identifier = state.enrollment?.profile.configuration.identifier
    for (const { profiles } of [state.own, ...state.users]) dropManaged(profiles, identifier)
    releaseAll(state.holding.apps)
    state.condition.lostMode = undefined
  }
  for (const channel of [state.own, ...state.users]) retirePush(channel)
  if (told !== undefined) tellAll(state, told)
}

function wipe(state: DeviceState): void {
  for (const { profiles } of [state.own, ...state.users]) profiles.clear()
  state.holding.apps.clear()
  state.condition = createCondition(state.now(), state.condition.erasure)
  state.facts.deviceName = state.firstName
}

/**
 * A device enrols anew. One that is enrolled was erased in between; after the enrollment profile was removed, what the
 * person has is still there.
 */
export function beginAnew(state: DeviceState): void {
  if (state.status === 'enrolled') {
    state.condition.erasure = undefined
    endEnrollment(state, 'erased')
  }
  for (const channel of [state.own, ...state.users]) retirePush(channel)
  state.status = 'new'
  state.lives += 1
  const { bypassCodeUntil } = createCondition(state.now())
  Object.assign(state.condition, { unlockTokens: [], bypassCodeUntil })
  state.past.push(...state.users.splice(0))
  state.untold = undefined
  state.own.ledger.clear()
}

/** The server has the unlock token that was sent last, and uses no other. */
export function tokenIsKnown({ condition }: DeviceState): void {
  condition.unlockTokens = condition.unlockTokens.slice(-1)
}

/** The server knows that all retired tokens are good for nothing. */
export function tellAll(state: DeviceState, now: Date): void {
  for (const channel of channelsOf(state)) tellRetired(channel, now)
}
