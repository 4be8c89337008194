import { signMachineInfo } from '../../protocol/ade/index.ts'
import type { WritablePlist } from '../../protocol/plist/index.ts'
import type { Certificate, Identity } from '../../protocol/x509/index.ts'
import type { DeviceFacts } from '../device-facts.ts'

/** What a device says of itself at first power-on, before it is signed. */
type MachineInfoKeys = Record<string, WritablePlist>

/** Who signs it, and what is special about it. */
export interface MachineInfoOptions {
  /** The identity from the factory. */
  identity: Identity
  /** Certificates that go along, from the issuer of the identity upwards. */
  chain?: readonly Certificate[]
  now: Date
  /** Whether it can be told to update itself (iOS 17 and later). */
  canUpdate: boolean
  /** Changes what is said, for devices that lie. */
  change?: (keys: MachineInfoKeys) => MachineInfoKeys
}

const FIRST_WITH_OS_VERSION = 17

/** The signed MachineInfo of a device. https://developer.apple.com/documentation/devicemanagement/machineinfo */
export function machineInfoOf(facts: DeviceFacts, options: MachineInfoOptions): Promise<Buffer> {
  const { identity, chain = [], canUpdate, now: signingTime, change = (keys) => keys } = options
  const isNew = Number.parseInt(facts.osVersion, 10) >= FIRST_WITH_OS_VERSION
  const keys: MachineInfoKeys = {
    UDID: facts.udid,
    SERIAL: facts.serialNumber,
    PRODUCT: facts.productName,
    VERSION: facts.buildVersion,
    LANGUAGE: 'de_CH',
    ...(isNew ? { OS_VERSION: facts.osVersion, SOFTWARE_UPDATE_DEVICE_ID: facts.productName } : {}),
    ...(facts.imei === undefined ? {} : { IMEI: facts.imei }),
    ...(canUpdate ? { MDM_CAN_REQUEST_SOFTWARE_UPDATE: true } : {}),
  }
  return signMachineInfo(change(keys), identity, { chain, signingTime })
}
