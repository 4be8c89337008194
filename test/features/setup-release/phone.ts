import type { Hold } from '../../../src/features/setup-release/machine.ts'

/** A critical thing as the world of a history plays it. */
export type Thing = 'open' | 'done' | 'failed'

/** What a test changes as it likes. */
export interface Circumstances {
  isComputed: boolean
  things: Thing[]
  isHolding: boolean
  minutes: number
  /** The process dies with the so-manyth thing that it does; 0: it lives. */
  diesAt: number
}

/** A command as it reaches the phone. */
export interface Sent {
  uuid: string
  requestType: string
}

/** The hold of the one device, and whose it is. */
export type StoredHold = Hold & { generation: number }

/** A server with one phone: in memory, or the real slice on a database. */
export interface World {
  circumstances: Circumstances
  now(): Date
  /** Moves the clock, backwards too. */
  move(seconds: number): void
  generation(): Promise<number>
  isGone(): Promise<boolean>
  hold(): Promise<StoredHold | undefined>
  /** How many DeviceConfigured are on their way. */
  countConfigured(): Promise<number>
  tokenUpdate(awaiting: boolean | undefined): Promise<void>
  enrolAnew(): Promise<void>
  unenrol(): Promise<void>
  erase(): Promise<void>
  /** A poll: the answer to a command, or Idle; gives the next command. */
  poll(said: {
    status: 'Idle' | 'Acknowledged' | 'Error' | 'NotNow'
    uuid?: string
  }): Promise<Sent | undefined>
  /** An operator cancels the DeviceConfigured that was not sent yet. */
  cancel(): Promise<void>
  /** The facts that were told are followed. */
  follow(): Promise<void>
  /** What was woken is done; nothing of that survives a kill. */
  goOnWithWoken(): Promise<void>
  job(): Promise<void>
  /** The process ends, and another one begins. */
  kill(): void
}

/** How a phone deals with a command: `deaf` never got it, `vanishes` did it and its answer got lost. */
export type Mood = 'answers' | 'not_now' | 'deaf' | 'vanishes' | 'refuses'

/** A phone that may wait in Setup Assistant. */
export interface Phone {
  isWaiting: boolean
}

/** One session of polling, with a mood for each command. */
export async function contact(world: World, phone: Phone, moods: readonly Mood[]): Promise<void> {
  let sent = await world.poll({ status: 'Idle' })
  for (const mood of moods) {
    if (sent === undefined || mood === 'deaf') return
    const isConfigured = sent.requestType === 'DeviceConfigured'
    const isRefused = mood === 'refuses' || (isConfigured && !phone.isWaiting)
    if (isConfigured && mood !== 'not_now') phone.isWaiting = false
    if (mood === 'vanishes') return
    const status = mood === 'not_now' ? 'NotNow' : isRefused ? 'Error' : 'Acknowledged'
    sent = await world.poll({ status, uuid: sent.uuid })
  }
}
