import type { Db } from '../../db/index.ts'
import { deliveriesOf } from '../../db/statements/delivery-views.ts'
import {
  haltedRollouts,
  holdOf,
  lastEndOf,
  pushNeedOf,
  queueOf,
  refusedActOf,
  serverFacts,
  waitingApprovalOf,
} from '../../db/statements/explain-facts.ts'
import {
  attemptOfPerson,
  strangersRefused,
  type StrangerRefusal,
} from '../../db/statements/explain-finding.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Ade } from '../ade/index.ts'
import { isReasonCode, type Attempts } from '../attempts/index.ts'
import { halfEnrolledSince, type Devices, type Enrollment } from '../devices/index.ts'
import type { Push } from '../push/index.ts'
import type { User, Users } from '../users/index.ts'
import type { Person, PhoneFacts, Refusal, TimedAttempt, UserFacts } from './facts.ts'

/** Deliveries of a device that are looked at; one has some dozens. */
const MOST_DELIVERIES = 500
/** So long it is told that an act was refused. */
const REFUSED_HOURS = 24

/** What reads the facts. */
export interface LoadDeps {
  db: Db
  clock: Clock
  ade: Pick<Ade, 'findDevice'>
  attempts: Pick<Attempts, 'get' | 'list'>
  devices: Pick<Devices, 'findEnrollment' | 'countPlaces'>
  push: Pick<Push, 'certificates'>
  users: Pick<Users, 'find' | 'findByName' | 'limitOf'>
}

/** Reads what is known of things; each look-up goes by an index. */
export function createLoad(deps: LoadDeps) {
  const { db, clock, ade, attempts, devices, push, users } = deps
  const queries = db.kysely
  const people = createPeople(deps)

  /** What is known of a device: of an enrollment, of a serial number, or by an attempt that gave neither. */
  async function phone(of: {
    device?: Enrollment | undefined
    serial?: string | null
    attempt?: TimedAttempt | undefined
  }): Promise<PhoneFacts> {
    const { device } = of
    const serial = device?.serial_number ?? of.serial ?? of.attempt?.serial_number ?? null
    const isChannel = device?.parent_id != null
    const now = clock.now()
    const ids = [device?.id, serial].filter((id) => id != null)
    const [listed, parent, attempt, stranger, approval] = await Promise.all([
      serial === null || isChannel ? undefined : ade.findDevice(queries, serial),
      isChannel ? devices.findEnrollment(queries, device.parent_id ?? '') : undefined,
      newestAttempt(serial, device, of.attempt),
      serial === null || isChannel ? undefined : strangersRefused(queries, { serial }),
      ids.length === 0 ? undefined : waitingApprovalOf(queries, ids),
    ])
    const serverId = listed?.ade_server_id ?? null
    const userId = device?.user_id ?? attempt?.user_id ?? null
    const [server, owner, certificate] = await Promise.all([
      serverId === null ? undefined : serverFacts(queries, serverId),
      userId === null ? undefined : users.find(queries, userId),
      device?.topic != null && device.unenrolled_at === null
        ? push.certificates.find(device.topic)
        : push.certificates.inUse(),
    ])
    return {
      ...{ now, serial, ade: listed, server, device, parent, attempt, certificate, approval },
      name: nameOf(device, parent, serial, attempt),
      refusal: latest(attempt, stranger),
      person: owner && (await people.personOf(owner)),
      ...(await waiting(device)),
    }
  }

  /** The newest attempt of a serial number; of a device without one, that by which it enrolled. */
  async function newestAttempt(
    serial: string | null,
    device: Enrollment | undefined,
    given: TimedAttempt | undefined,
  ): Promise<TimedAttempt | undefined> {
    if (serial !== null) return (await attempts.list({ serial_number: serial, limit: 1 }))[0]
    if (given !== undefined) return given
    return device?.attempt_id == null ? undefined : attempts.get(device.attempt_id)
  }

  /** What an enrolled device or channel waits for, and what became of it. */
  async function waiting(
    device: Enrollment | undefined,
  ): Promise<
    Pick<PhoneFacts, 'refusedAct' | 'hold' | 'pushNeed' | 'queue' | 'lastEnd' | 'deliveries' | 'halted'>
  > {
    if (device === undefined || device.unenrolled_at !== null)
      return {
        refusedAct: undefined,
        hold: undefined,
        pushNeed: undefined,
        queue: [],
        lastEnd: undefined,
        deliveries: [],
        halted: [],
      }
    const [refusedAct, hold, pushNeed, queue, lastEnd, deliveries] = await Promise.all([
      refusedActOf(queries, device.id, addTime(clock.now(), -REFUSED_HOURS, 'hour')),
      holdOf(queries, device.id),
      pushNeedOf(queries, device.id),
      queueOf(queries, device.id),
      lastEndOf(queries, device.id),
      deliveriesOf(queries, device.id, { limit: MOST_DELIVERIES, offset: 0 }),
    ])
    const halted = await haltedRollouts(queries, deliveries)
    return { refusedAct, hold, pushNeed, queue, lastEnd, deliveries, halted }
  }

  return { phone, user: people.user, ofPerson: people.ofPerson }
}

function createPeople({ db, clock, attempts, devices, users }: LoadDeps) {
  const queries = db.kysely

  async function personOf(of: User): Promise<Person> {
    const [places, limit] = await Promise.all([
      devices.countPlaces(queries, of.id, { halfSince: halfEnrolledSince(clock.now()) }),
      users.limitOf(of, queries),
    ])
    return { user: of, places, limit }
  }

  /** The newest attempt in which somebody of this name signed in, or tried to. */
  async function ofPerson(userName: string): Promise<TimedAttempt | undefined> {
    const id = await attemptOfPerson(queries, userName)
    return id === undefined ? undefined : attempts.get(id)
  }

  /** What is known of a person. */
  async function user(found: User): Promise<UserFacts> {
    const userName = found.user_name
    const [person, attempt, stranger] = await Promise.all([
      personOf(found),
      ofPerson(userName),
      strangersRefused(queries, { userName }),
    ])
    const refusal = latest(attempt, stranger)
    const hasEnrolledSince =
      attempt?.outcome === 'enrolled' && refusal !== undefined && attempt.updated_at > refusal.at
    return { now: clock.now(), person, attempt, refusal: hasEnrolledSince ? undefined : refusal }
  }

  return { personOf, user, ofPerson }
}

function nameOf(
  device: Enrollment | undefined,
  parent: Enrollment | undefined,
  serial: string | null,
  attempt: TimedAttempt | undefined,
): string {
  if (device !== undefined && parent !== undefined) {
    const person = device.user_short_name ?? device.user_long_name
    return `The channel ${person === null ? device.id : `of ${person}`} on ${nameOf(parent, undefined, parent.serial_number, undefined)}`
  }
  const known = serial ?? device?.serial_number ?? device?.id ?? attempt?.udid
  const name = device?.device_name ?? null
  if (known == null) return name ?? 'The device'
  return name === null || name === known ? known : `${name} (${known})`
}

/** The refusal with which an attempt has ended, or that was its last step. */
export function refusalOf(attempt: TimedAttempt | undefined): Refusal | undefined {
  if (attempt === undefined || attempt.outcome === 'enrolled') return undefined
  const step = attempt.timeline.findLast(
    ({ outcome, reason }) => outcome === 'refused' && (attempt.reason === null || reason === attempt.reason),
  )
  const reason = attempt.outcome === 'in_progress' ? reasonOfLast(attempt) : attempt.reason
  if (!isReasonCode(reason)) return undefined
  return {
    reason,
    at: step?.at ?? attempt.closed_at ?? attempt.updated_at,
    step: step?.step ?? null,
    user_name: step?.user_name ?? attempt.user_name,
  }
}

const reasonOfLast = ({ timeline }: TimedAttempt) => {
  const last = timeline.at(-1)
  return last?.outcome === 'refused' ? last.reason : null
}

/** What was refused before there was an attempt. */
export function refusedBefore(stranger: StrangerRefusal | undefined): Refusal | undefined {
  if (stranger === undefined || !isReasonCode(stranger.reason)) return undefined
  return { reason: stranger.reason, at: stranger.at, step: null, user_name: null }
}

/** The newest refusal. Anybody can name a serial number: while its device is on its way in, that says nothing of it. */
function latest(
  attempt: TimedAttempt | undefined,
  stranger: StrangerRefusal | undefined,
): Refusal | undefined {
  const own = refusalOf(attempt)
  const other = attempt?.outcome === 'in_progress' ? undefined : refusedBefore(stranger)
  if (own === undefined || other === undefined) return own ?? other
  return own.at >= other.at ? own : other
}
