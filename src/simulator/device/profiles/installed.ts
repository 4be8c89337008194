import { hash } from 'node:crypto'
import { isDict, parsePlist, type PlistDict } from '../../../protocol/plist/index.ts'
import { DeviceFault } from '../../device-fault.ts'
import type { Configuration } from './configuration.ts'

/** What is kept of a profile: the same object for all devices that hold the same one. */
interface StoredProfile extends Readonly<Omit<Configuration, 'payloads' | 'removal'>> {
  readonly content: Buffer
}

/** A profile that a device holds. */
export interface InstalledProfile {
  readonly stored: StoredProfile
  /** It came by MDM. The profile that enrolled the device did not. */
  readonly managed: boolean
  /** When it goes by itself, in milliseconds since 1970. */
  readonly removesAt: number | undefined
}

/** The profiles of a channel, by identifier. */
export type InstalledProfiles = Map<string, InstalledProfile>

const shared = new Map<string, WeakRef<StoredProfile>>()
const gone = new FinalizationRegistry((key: string) => {
  if (shared.get(key)?.deref() === undefined) shared.delete(key)
})

/** Keeps a profile, in the place of one with the same identifier. Refuses one whose time is over already. */
export function keepProfile(
  profiles: InstalledProfiles,
  configuration: Configuration,
  { managed, now }: { managed: boolean; now: Date },
): void {
  const { removal, identifier } = configuration
  const removesAt = typeof removal === 'number' ? now.getTime() + removal : removal?.getTime()
  if (removesAt !== undefined && removesAt <= now.getTime()) {
    const description = `The removal date of the profile “${identifier}” is in the past.`
    throw new DeviceFault({ domain: 'MCInstallationErrorDomain', code: 4006, description })
  }
  profiles.set(identifier, { stored: share(configuration), managed, removesAt })
}

/** The profiles that are there now, in the order in which they came; those whose time is over are gone. */
export function presentProfiles(profiles: InstalledProfiles, now: Date): InstalledProfile[] {
  for (const [identifier, { removesAt }] of profiles) {
    if (removesAt !== undefined && removesAt <= now.getTime()) profiles.delete(identifier)
  }
  return [...profiles.values()]
}

/** Takes away what came by MDM, and the profile that enrolled the device. */
export function dropManaged(profiles: InstalledProfiles, enrollment: string | undefined): void {
  for (const [identifier, { managed }] of profiles) {
    if (managed || identifier === enrollment) profiles.delete(identifier)
  }
}

/** The payloads of a profile, read anew. */
export function payloadsOf({ stored }: InstalledProfile): PlistDict[] {
  const top = parsePlist(stored.content)
  const list = isDict(top) ? top['PayloadContent'] : undefined
  return Array.isArray(list) ? list.filter(isDict) : []
}

/** The kept form of a profile; a fleet that holds the same one keeps it a single time. */
function share(configuration: Configuration): StoredProfile {
  const { payloads: _, removal: __, content, signers, ...facts } = configuration
  const key = [content, ...signers].map((part) => hash('sha256', part)).join()
  const known = shared.get(key)?.deref()
  if (known !== undefined) return known
  const own = { ...facts, content: Buffer.from(content), signers: signers.map((der) => Buffer.from(der)) }
  shared.set(key, new WeakRef(own))
  gone.register(own, key)
  return own
}
