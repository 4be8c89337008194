import type {
  EndedCommand,
  WaitingApproval,
  RefusedAct,
  HaltedRollout,
  HoldFacts,
  PushNeed,
  QueuedCommand,
  ServerFacts,
} from '../../db/statements/explain-facts.ts'
import type { DeliveryView } from '../../db/statements/delivery-views.ts'
import type { Ade } from '../ade/index.ts'
import type { Attempt, ReasonCode, TimelineStep } from '../attempts/index.ts'
import type { Commands } from '../commands/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { PushCertificate } from '../push/index.ts'
import type { User } from '../users/index.ts'
import type { ExplainReason } from './reasons.ts'

/** An answer: why, in one sentence; what goes on by itself and what to do, in another. */
export interface Finding {
  reason: ExplainReason
  sentence: string
  next_step: string
  since: Date | null
}

/** Says why, if what it looks for is so. */
export type Rule<Facts> = (facts: Facts) => Finding | undefined

/** An attempt with its steps. */
export type TimedAttempt = Attempt & { timeline: TimelineStep[] }

/** What was refused last, of an attempt or before there was one. */
export interface Refusal {
  at: Date
  reason: ReasonCode
  step: string | null
  user_name: string | null
}

/** A person, and how many of the places that they may have are taken. */
export interface Person {
  user: User
  places: number
  limit: number | null
}

/** The serial number's own facts. */
type AdeFacts = NonNullable<Awaited<ReturnType<Ade['findDevice']>>>

/** What is known of a device or of a channel of one, enrolled or not. */
export interface PhoneFacts {
  now: Date
  name: string
  serial: string | null
  ade: AdeFacts | undefined
  server: ServerFacts | undefined
  /** The enrollment, be it over. */
  device: Enrollment | undefined
  /** The device of a user channel. */
  parent: Enrollment | undefined
  /** The newest attempt. */
  attempt: TimedAttempt | undefined
  /** The newest refusal, if nothing has come of a later try. */
  refusal: Refusal | undefined
  person: Person | undefined
  /** Of the device's topic, or the one that new devices get. */
  certificate: PushCertificate | undefined
  /** What waits for a second person. */
  approval: WaitingApproval | undefined
  /** What was refused because it was beyond a limit. */
  refusedAct: RefusedAct | undefined
  hold: HoldFacts | undefined
  pushNeed: PushNeed | undefined
  queue: readonly QueuedCommand[]
  lastEnd: EndedCommand | undefined
  deliveries: readonly DeliveryView[]
  halted: readonly HaltedRollout[]
}

/** A command with one of its deliveries, the least done, and that one's device. */
export interface CommandFacts {
  command: Pick<
    NonNullable<Awaited<ReturnType<Commands['find']>>>,
    'uuid' | 'request_type' | 'not_before' | 'created_at'
  >
  delivery: Awaited<ReturnType<Commands['deliveries']>>[number] | undefined
  /** How many deliveries are in each state. */
  counts: ReadonlyMap<string, number>
  phone: PhoneFacts
}

/** What is known of a person. */
export interface UserFacts {
  now: Date
  person: Person
  /** The newest attempt in which they signed in or tried to. */
  attempt: TimedAttempt | undefined
  refusal: Refusal | undefined
}

/** An attempt, and the device that it is about. */
export interface AttemptFacts {
  attempt: TimedAttempt
  refusal: Refusal | undefined
  phone: PhoneFacts
}
