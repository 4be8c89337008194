import type { Row } from './store.ts'

/** What is delivered, and kept, on a device. */
export type Kind = Row['kind']

/** A revision, and what tells its renderings apart. */
export interface Version {
  revision: number
  rendering: string
}

/** The rendering of what is there by another command than the one that was to bring it, which may have carried something else. */
export const OF_ANOTHER_COMMAND = 'of another command'

/** An app as a device lists it. */
interface ListedApp {
  version: string | null
  short_version: string | null
  installing: boolean | null
  /** When the device told it. */
  at: Date
}

/** What a device listed last, each list with the time at which it came; null where it never did. */
export interface Listed {
  /** UUIDs in lower case by the identifiers of profiles. */
  profiles: { at: Date; uuids: ReadonlyMap<string, readonly string[]> } | null
  /** The status of each managed app. */
  managed: { at: Date; apps: ReadonlyMap<string, string> } | null
  /** `at`: when a list came that tells of all that there is; null where only parts of it did. */
  installed: { at: Date | null; apps: ReadonlyMap<string, ListedApp> } | null
}

/** A device, as far as it decides what it gets. */
export interface Device {
  id: string
  generation: number
  type: string
  platform: string | null
  osVersion: string | null
  /** It waits in Setup Assistant. */
  isHeld: boolean
  isLost: boolean
  /** The channel of the user who came last, which gets what is the user's; null where there is none. */
  userChannelId: string | null
  /** The profiles that its users listed, by their channels. */
  users: ReadonlyMap<string, Listed['profiles']>
  /** Values of variables. */
  values: ReadonlyMap<string, string | null>
  listed: Listed
}

/** Why something cannot be sent now. */
export interface Obstacle {
  state: 'waiting' | 'failed'
  reason: string
}

/** How a thing is with a device by the lists that came after a moment. */
export type Report =
  /** No list says it yet. */
  | { state: 'untold' }
  /** `other`: something is in its place. */
  | { state: 'there' | 'other' | 'absent' | 'on_its_way' | 'waits_for_person' }
  /** `isFinal`: only a person or a new revision brings another try. */
  | { state: 'failed'; reason: string; isFinal: boolean }

/** A revision of a thing, as far as the engine has to do with it. */
export interface Goods {
  identifier: string | null
  /** It is installed for a user, by that one's channel. */
  isForUser: boolean
  /** An acknowledged command says that it is there; else a list has to. */
  isThereWhenAcknowledged: boolean
  /** Bundle identifiers of apps that have to be there before. */
  needsApps: readonly string[]
  /** When it goes by itself. */
  removedAt: Date | null
  rendering: (device: Device) => string
  /** How it is sent to a device that has `there`; `same` where nothing that is sent differs. */
  install: (device: Device, there: Version | null) => { requestType: string } | { same: true } | Obstacle
  /** How it is removed; undefined where nothing can remove it. */
  remove: () => { requestType: string } | undefined
  /** How it is with a device by the lists since `since`. */
  report: (device: Device, version: Version, since: Date) => Report
}

/** What became of the command of a row. */
export type End =
  /** `sentAt`: when it last went out; null where it has not yet. It is not done where the device has said NotNow each time. */
  | { state: 'live'; sentAt: Date | null; mayBeDone: boolean }
  | Failed
  /** `requestType`: what the command was, where that is known. */
  | { state: 'acknowledged'; at: Date; requestType: string | null }
  | { state: 'expired' | 'lost'; at: Date }
  /** `reason`: why it turned out to be unsuited for the device; null where somebody has taken it back. */
  | { state: 'cancelled'; at: Date; reason: string | null }

/** It was answered with an error. */
export interface Failed {
  state: 'error' | 'format_error'
  at: Date
  chain: unknown
  /** What the command was, where that is known. */
  requestType: string | null
}

/** A command for a device that is about to be queued. */
export interface Order {
  row: Row
  requestType: string
}

/** Something about a delivery that is told as an event. */
export interface Told {
  type:
    'delivery.installed' | 'delivery.failed' | 'delivery.removed' | 'delivery.drifted' | 'delivery.expired'
  row: Row
  /** The revision that it is about, where that is not the one that was sent last. */
  revision?: number | null
}
