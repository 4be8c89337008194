import type { PlistDict } from '../../../protocol/plist/index.ts'

/** Where a device is, as DeviceLocation tells it: degrees and metres. */
export interface Location {
  latitude: number
  longitude: number
  accuracy: number
}

/** What EraseDevice brought for the time after. */
export interface Erasure {
  preserveDataPlan: boolean
  disallowProximitySetup: boolean
  /** Return to Service: what the device needs to set itself up again. */
  returnToService:
    { wifiProfile?: Uint8Array; mdmProfile?: Uint8Array; bootstrapToken?: Uint8Array } | undefined
}

/** What changes of a device besides its profiles and apps; an erased one begins anew. */
export interface Condition {
  /** A passcode is set. */
  passcode: boolean
  /** Unlock tokens that the server may have, the newest last. */
  unlockTokens: Uint8Array[]
  lostMode: { message?: string; phoneNumber?: string; footnote?: string } | undefined
  /** The last DeviceLock. */
  lock: { message?: string; phoneNumber?: string; pin?: string } | undefined
  /** It was started and nobody has unlocked it since. */
  lockedSinceStart: boolean
  activationLock: boolean
  /** The bypass code of Activation Lock can be read until then, in milliseconds since 1970. */
  bypassCodeUntil: number
  /** What the Settings command set, by item; undefined: nothing yet. */
  settings: Map<string, PlistDict> | undefined
  location: Location
  /** How often the lost device was told to make a sound. */
  sounds: number
  /** The EraseDevice that ended the life before this one. */
  erasure: Erasure | undefined
}

const HOME: Location = { latitude: 47.3769, longitude: 8.5417, accuracy: 12 }
const BYPASS_MS = 15 * 86_400_000

/** A device that begins a new life now. */
export function createCondition(now: Date, erasure?: Erasure): Condition {
  return {
    passcode: true,
    unlockTokens: [],
    lostMode: undefined,
    lock: undefined,
    lockedSinceStart: false,
    activationLock: false,
    bypassCodeUntil: now.getTime() + BYPASS_MS,
    settings: undefined,
    location: HOME,
    sounds: 0,
    erasure,
  }
}

/** What the Settings command set for an item. */
export function settingOf({ settings }: Condition, item: string): PlistDict | undefined {
  return settings?.get(item)
}
