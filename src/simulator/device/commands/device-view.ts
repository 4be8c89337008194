import type { Certificate } from '../../../protocol/x509/index.ts'
import type { DeviceFacts } from '../../device-facts.ts'
import type { Configuration } from '../profiles/configuration.ts'

/** What a device knows of itself when it answers. */
export interface DeviceView {
  facts: DeviceFacts
  appCount: number
  awaitingConfiguration: boolean
  sharedUsers: boolean
  profiles: readonly { configuration: Configuration; managed: boolean }[]
  /** Its identity, if it has one. */
  certificate: Certificate | undefined
}
