import type { Certificate } from '../../../protocol/x509/index.ts'
import type { DeviceFacts } from '../../device-facts.ts'
import type { Holding } from '../apps/holding.ts'
import type { InstalledProfiles } from '../profiles/installed.ts'
import type { ChannelKind } from './channel-kinds.ts'
import type { Condition } from './condition.ts'

/** A device as a command finds it, and may change it. */
export interface DeviceSelf {
  readonly facts: DeviceFacts
  readonly condition: Condition
  readonly holding: Holding
  /** Of the channel on which the command came. */
  readonly channel: ChannelKind
  readonly profiles: InstalledProfiles
  /** The PayloadIdentifier of the profile that enrolled it. */
  readonly enrollmentIdentifier: string
  /** What that profile lets the server do. */
  readonly accessRights: number
  /** Apps that it has anyway. */
  readonly appCount: number
  readonly awaitingConfiguration: boolean
  readonly sharedUsers: boolean
  /** A user enrollment. */
  readonly isPersonal: boolean
  /** It enrolled by Automated Device Enrollment. */
  readonly viaAde: boolean
  /** Its identity, if it has one. */
  readonly certificate: Certificate | undefined
  /** The bypass code of Activation Lock of this life. */
  readonly bypassCode: string
  readonly now: Date
}

/** Whether the device is a Mac. */
export function isMac({ facts }: DeviceSelf): boolean {
  return facts.platform === 'macos'
}

/** The first number of its OS version. */
export function majorVersion({ facts }: DeviceSelf): number {
  return Number.parseInt(facts.osVersion, 10)
}
