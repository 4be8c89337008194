import { words } from '../../../kernel/words.ts'
import type { Enrollment } from '../../devices/index.ts'
import type { Settings } from '../../settings/index.ts'

/** A device as far as it matters for what it is asked. */
type Asked = Pick<Enrollment, 'type' | 'way' | 'product_name' | 'model'>

/** A command that asks for inventory. */
interface Question {
  requestType: string
  /** Whether a device of this sort answers it (`mdm/commands` of Apple's schema). */
  suits: (device: Asked) => boolean
  /** The parameters. */
  command: (device: Asked, settings: Pick<Settings, 'inventory_personal_apps'>) => Record<string, unknown>
}

/**
 * What is asked of every device (Apple's DeviceInformation queries that any device answers). IMEI and MEID are in
 * ServiceSubscriptions since iOS 14, and at the top for those before it. None of what OS 27 has removed.
 */
export const DEVICE_QUERIES = words(`
  UDID SerialNumber DeviceName Model ModelName ModelNumber ProductName OSVersion SupplementalOSVersionExtra
  BuildVersion SupplementalBuildVersion IsSupervised IsMultiUser IsAppleSilicon HostName TimeZone
  DeviceCapacity AvailableDeviceCapacity BatteryLevel ServiceSubscriptions IMEI MEID
  WiFiMAC BluetoothMAC EthernetMAC IsCloudBackupEnabled LastCloudBackupDate IsActivationLockEnabled
  IsMDMLostModeEnabled AwaitingConfiguration
`)

/** How products of Macs are called. */
const MAC = /^(?:Mac|iMac|VirtualMac|Xserve|ADP)/

/** Everything that devices are asked for, in the order in which they are. */
export const QUESTIONS: readonly Question[] = [
  { requestType: 'DeviceInformation', suits: isDevice, command: () => ({ Queries: DEVICE_QUERIES }) },
  { requestType: 'SecurityInfo', suits: isDevice, command: () => ({}) },
  {
    requestType: 'InstalledApplicationList',
    suits: (device) => isDevice(device) && !(isMac(device) && isUserEnrollment(device)),
    command: (device, { inventory_personal_apps: apps }) =>
      isPersonal(device) && apps === 'managed' ? { ManagedAppsOnly: true } : {},
  },
  { requestType: 'ManagedApplicationList', suits: isDevice, command: () => ({}) },
  { requestType: 'ProfileList', suits: () => true, command: () => ({}) },
  {
    requestType: 'CertificateList',
    suits: (device) => isDevice(device) || device.type === 'user',
    command: () => ({}),
  },
  {
    requestType: 'Restrictions',
    suits: (device) => isDevice(device) && !isMac(device) && !isUserEnrollment(device),
    command: () => ({}),
  },
]

function isDevice({ type }: Asked): boolean {
  return type === 'device' || type === 'user_enrollment_device'
}

function isUserEnrollment({ type }: Asked): boolean {
  return type === 'user_enrollment_device' || type === 'user_enrollment_user'
}

/** A device that its person has brought, or has enrolled at the page. */
function isPersonal(device: Asked): boolean {
  return isUserEnrollment(device) || device.way === 'page'
}

function isMac({ product_name: product, model }: Asked): boolean {
  return MAC.test(product ?? model ?? '')
}
