import type { Clock } from '../../kernel/clock.ts'
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
  /** When it believes to sign that, whatever the time: its clock stands still, so that it says the same again. */
  signsAt?: Date
  /** The newest OS version that it can be told to update to (iOS 17 and later); it cannot be told to when left out. */
  newestOs?: string
  /** Changes what is said, for phones that lie. */
  changeMachineInfo?: (keys: MachineInfoKeys) => MachineInfoKeys
}

const FIRST_WITH_OS_VERSION = 17

/** Gives the signed MachineInfo of a device: what was signed before as long as its OS version is the same, unless it lies. */
export function createMachineInfo(
  facts: DeviceFacts,
  clock: Clock,
  options: MachineInfoOptions,
): () => Promise<Buffer> {
  const { identity, chain = [], changeMachineInfo: change } = options
  const signed = new Map<string, Promise<Buffer>>()
  return () => {
    const known = signed.get(facts.osVersion)
    if (known !== undefined && change === undefined) return known
    const keys = machineInfoOf(facts, options.newestOs !== undefined)
    const signingTime = options.signsAt ?? clock.now()
    const made = signMachineInfo(change?.(keys) ?? keys, identity, { chain, signingTime })
    signed.set(facts.osVersion, made)
    return made
  }
}

/** https://developer.apple.com/documentation/devicemanagement/machineinfo */
function machineInfoOf(facts: DeviceFacts, canUpdate: boolean): MachineInfoKeys {
  const isNew = Number.parseInt(facts.osVersion, 10) >= FIRST_WITH_OS_VERSION
  return {
    UDID: facts.udid,
    SERIAL: facts.serialNumber,
    PRODUCT: facts.productName,
    VERSION: facts.buildVersion,
    LANGUAGE: 'de_CH',
    ...(isNew ? { OS_VERSION: facts.osVersion, SOFTWARE_UPDATE_DEVICE_ID: facts.productName } : {}),
    ...(facts.imei === undefined ? {} : { IMEI: facts.imei }),
    ...(canUpdate ? { MDM_CAN_REQUEST_SOFTWARE_UPDATE: true } : {}),
  }
}
