import type { PlistDict, PlistValue } from '../../../protocol/plist/index.ts'
import type { DeviceView } from './device-view.ts'

const GIB = 1024 ** 3

/**
 * What a device answers to each query of DeviceInformation; a query that is not here, or gives undefined, is left
 * out, as devices do. https://developer.apple.com/documentation/devicemanagement/device-information-command
 */
const QUERIES: Readonly<Record<string, (view: DeviceView) => PlistValue | undefined>> = {
  UDID: ({ facts }) => facts.udid,
  SerialNumber: ({ facts }) => facts.serialNumber,
  DeviceName: ({ facts }) => facts.deviceName,
  OSVersion: ({ facts }) => facts.osVersion,
  BuildVersion: ({ facts }) => facts.buildVersion,
  ProductName: ({ facts }) => facts.productName,
  Model: ({ facts }) => facts.model,
  ModelName: ({ facts }) => facts.modelName,
  ModelNumber: ({ facts }) => `${facts.model}/A`,
  IMEI: ({ facts }) => facts.imei,
  ServiceSubscriptions: ({ facts }) =>
    facts.imei === undefined ? undefined : [{ Slot: 'CTSubscriptionSlotOne', IMEI: facts.imei }],
  IsSupervised: ({ facts }) => facts.supervised,
  AwaitingConfiguration: ({ awaitingConfiguration }) => awaitingConfiguration,
  IsMultiUser: ({ sharedUsers }) => sharedUsers,
  DeviceCapacity: () => 119.21,
  AvailableDeviceCapacity: () => 87.5,
  BatteryLevel: () => 0.8,
  CellularTechnology: ({ facts }) => (facts.platform === 'ios' ? 3 : 0),
  IsActivationLockEnabled: () => false,
  IsCloudBackupEnabled: () => false,
  IsDeviceLocatorServiceEnabled: () => false,
  IsDoNotDisturbInEffect: () => false,
  IsMDMLostModeEnabled: () => false,
  IsNetworkTethered: () => false,
  IsRoaming: () => false,
  DataRoamingEnabled: () => false,
  VoiceRoamingEnabled: () => false,
  PersonalHotspotEnabled: () => false,
  DiagnosticSubmissionEnabled: () => false,
  AppAnalyticsEnabled: () => false,
  iTunesStoreAccountIsActive: () => false,
  Languages: () => ['en-CH', 'de-CH', 'fr-CH'],
  Locales: () => ['en_CH', 'de_CH', 'fr_CH'],
  TimeZone: () => 'Europe/Zurich',
  WiFiMAC: ({ facts }) => macOf(facts.serialNumber, 0),
  BluetoothMAC: ({ facts }) => macOf(facts.serialNumber, 1),
  MDMOptions: () => ({ ActivationLockAllowedWhileSupervised: false }),
  OrganizationInfo: () => ({ OrganizationName: 'Example AG' }),
  QuotaSize: ({ sharedUsers }) => (sharedUsers ? 8 * GIB : undefined),
  ResidentUsers: ({ sharedUsers }) => (sharedUsers ? 2 : undefined),
}

/** The `QueryResponses` to these queries. */
export function queryResponses(queries: readonly string[], view: DeviceView): PlistDict {
  const answers: PlistDict = {}
  for (const query of queries) {
    const value = Object.hasOwn(QUERIES, query) ? QUERIES[query]?.(view) : undefined
    if (value !== undefined) answers[query] = value
  }
  return answers
}

/** A made-up address that stays the same for a device. */
function macOf(serialNumber: string, offset: number): string {
  const tail = Buffer.from(serialNumber.slice(-4)).map((byte) => (byte + offset) & 0xff)
  return ['f0', 'd1', ...[...tail].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}
