import type { DeviceFacts } from '../../device-facts.ts'
import type { Configuration } from '../profiles/configuration.ts'

/** What a device knows of itself when it answers. */
export interface DeviceView {
  facts: DeviceFacts
  appCount: number
  batteryLevel: number
  awaitingConfiguration: boolean
  sharedUsers: boolean
  profiles: readonly { configuration: Configuration; managed: boolean }[]
  certificates: readonly { der: Buffer; commonName: string; isIdentity: boolean }[]
}
