import { serialNumberOf } from '../../kernel/serial-number.ts'
import { isDict, type PlistDict, type PlistValue } from '../plist/index.ts'
import { optionalText } from './identity.ts'
import { toJson, type JsonValue } from './json.ts'
import type { MessageDict } from './open-message.ts'

/** What a result tells about a device. */
export type InventoryKind =
  | 'device_information'
  | 'security_info'
  | 'installed_applications'
  | 'managed_applications'
  | 'profiles'
  | 'certificates'
  | 'restrictions'

/** The answers to DeviceInformation that are worth a column; those that did not come are left out. */
type DeviceFacts = Partial<Record<keyof typeof FACTS, string>> & { isSupervised?: boolean }

/** One result as inventory. `data` has Apple's names; for DeviceInformation, `facts` are the promoted answers. */
export interface Inventory {
  kind: InventoryKind
  data: JsonValue
  facts?: DeviceFacts
}

const FACTS = {
  deviceName: 'DeviceName',
  osVersion: 'OSVersion',
  supplementalOsVersionExtra: 'SupplementalOSVersionExtra',
  buildVersion: 'BuildVersion',
  supplementalBuildVersion: 'SupplementalBuildVersion',
  productName: 'ProductName',
  modelName: 'ModelName',
  model: 'Model',
  modelNumber: 'ModelNumber',
  serialNumber: 'SerialNumber',
  udid: 'UDID',
  imei: 'IMEI',
  meid: 'MEID',
  wifiMac: 'WiFiMAC',
  bluetoothMac: 'BluetoothMAC',
} as const

/**
 * The inventory in a result message, told by the keys that are there, as a result need not name its RequestType;
 * undefined when there is none.
 */
export function extractInventory(raw: MessageDict): Inventory | undefined {
  const answers = raw['QueryResponses']
  if (isDict(answers)) {
    return { kind: 'device_information', data: toJson(answers), facts: readFacts(answers) }
  }
  const security = raw['SecurityInfo']
  if (isDict(security)) return { kind: 'security_info', data: toJson(security) }
  const managed = raw['ManagedApplicationList']
  if (isDict(managed)) return { kind: 'managed_applications', data: toJson(managed) }
  return (
    list('installed_applications', raw['InstalledApplicationList']) ??
    list('profiles', raw['ProfileList']) ??
    list('certificates', raw['CertificateList']) ??
    readRestrictions(raw)
  )
}

/** Some send one dictionary where an array with that one belongs. */
function list(kind: InventoryKind, value: PlistValue | null | undefined): Inventory | undefined {
  if (isDict(value)) return { kind, data: [toJson(value)] }
  return Array.isArray(value) ? { kind, data: toJson(value) } : undefined
}

function readRestrictions(raw: MessageDict): Inventory | undefined {
  const data: Record<string, JsonValue> = {}
  for (const key of ['GlobalRestrictions', 'ProfileRestrictions']) {
    const value = raw[key]
    if (isDict(value)) data[key] = toJson(value)
  }
  return Object.keys(data).length === 0 ? undefined : { kind: 'restrictions', data }
}

function readFacts(answers: PlistDict): DeviceFacts {
  const facts: DeviceFacts = {}
  for (const name of Object.keys(FACTS) as (keyof typeof FACTS)[]) {
    const text = optionalText(answers, FACTS[name]) ?? fromSubscription(answers, FACTS[name])
    if (text !== undefined) facts[name] = text
  }
  const serialNumber = serialNumberOf(facts.serialNumber)
  if (serialNumber === undefined) delete facts.serialNumber
  else facts.serialNumber = serialNumber
  const supervised = answers['IsSupervised']
  if (typeof supervised === 'boolean') facts.isSupervised = supervised
  return facts
}

/** IMEI and MEID moved to the subscriptions (one for each SIM) and are gone from the top with iOS 26. */
function fromSubscription(answers: PlistDict, key: string): string | undefined {
  const subscriptions = answers['ServiceSubscriptions']
  if ((key !== 'IMEI' && key !== 'MEID') || !Array.isArray(subscriptions)) return undefined
  for (const subscription of subscriptions) {
    const text = isDict(subscription) ? optionalText(subscription, key) : undefined
    if (text !== undefined) return text
  }
  return undefined
}
