import type { DeviceFacts } from '../../device-facts.ts'
import type { PhoneOptions, Phone } from '../../phone/phone.ts'
import type { Person } from '../../person.ts'
import type { DemoApi } from './api.ts'
import type { Fakes } from './fakes.ts'
import type { PolicyName } from './policies.ts'
import type { DemoReason } from './reasons.ts'
import type { DemoServer } from './server.ts'
import type { Tap } from './tap.ts'

/** What comes of a try, in the words of the table. */
export type Outcome = DemoReason | 'enrolled'

/** What was made, for the acts to work with. */
export interface Setup {
  adeServerId: string
  policies: Record<PolicyName, string>
  /** Addresses: `short` lives for ten minutes, `single` is for one phone of karin's. */
  links: { short: string; single: string }
}

/** A phone on the stage. */
export interface Actor {
  number: number
  /** As people call it, such as iPhone 16. */
  model: string
  phone: Phone
  tap: Tap
}

/** What there is when the acts begin. */
export interface World {
  server: DemoServer
  api: DemoApi
  fakes: Fakes
  setup: Setup
}

/** What an act has to work with. */
export interface Stage extends World {
  /** Says what the administrator does in between. */
  tell(text: string): void
  /** One try: what it does gives the text on the phone's screen. */
  attempt(doing: string, run: () => Promise<{ screen: string; isEnrolled: boolean }>): Promise<void>
  /** One try from the first screen of Setup Assistant on. */
  powerOn(actor: Actor, doing: string, person?: Person): Promise<void>
  /** One try of a person at the page /enroll, in the phone's browser. */
  enrollOnPage(actor: Actor, doing: string, person: Person): Promise<void>
  /** Tells what the groups of a phone have brought to it. */
  showDeliveries(actor: Actor): Promise<void>
  /** By number. */
  actor(number: number): Actor
}

/** What is special about the phone of an act. */
type Special = Partial<Omit<PhoneOptions, 'facts'>> & { facts?: Partial<DeviceFacts> }

/** A phone's story. */
export interface Act {
  /** From 1 to 25; a phone may come again. */
  phone: number
  title: string
  /** User name; nobody signs in without one. */
  who?: string
  /** What its serial number is assigned before it begins; a phone that Apple does not count as ours has none. */
  policy?: PolicyName
  special?: (fakes: Fakes) => Special | Promise<Special>
  /** By which way it gets in, if it does. */
  way?: string
  /** All that must come of it, in this order. */
  expected: readonly Outcome[]
  /** Left out: it is powered on, and the one named in `who` signs in. */
  play?(stage: Stage, actor: Actor): Promise<void>
}
