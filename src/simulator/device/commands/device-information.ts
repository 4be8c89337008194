import type { PlistDict, PlistValue } from '../../../protocol/plist/index.ts'
import { wordSet } from '../../../kernel/words.ts'
import { settingOf } from './condition.ts'
import { isMac, majorVersion, type DeviceSelf } from './self.ts'

const GIB = 1024 ** 3

/**
 * What a device answers to each query of DeviceInformation; a query that is not here, or gives undefined, is left
 * out, as devices do. https://developer.apple.com/documentation/devicemanagement/device-information-command
 */
const QUERIES: Readonly<Record<string, (self: DeviceSelf) => PlistValue | undefined>> = {
  UDID: ({ facts }) => facts.udid,
  SerialNumber: ({ facts }) => facts.serialNumber,
  DeviceName: ({ facts }) => facts.deviceName,
  OSVersion: ({ facts }) => facts.osVersion,
  BuildVersion: ({ facts }) => facts.buildVersion,
  ProductName: ({ facts }) => facts.productName,
  Model: ({ facts }) => facts.model,
  ModelName: ({ facts }) => facts.modelName,
  ModelNumber: ({ facts }) => `${facts.model}/A`,
  IMEI: (self) => (majorVersion(self) < 26 ? self.facts.imei : undefined),
  ServiceSubscriptions: ({ facts }) => (facts.imei === undefined ? undefined : subscriptions(facts.imei)),
  IsSupervised: ({ facts }) => facts.supervised,
  AwaitingConfiguration: ({ awaitingConfiguration }) => awaitingConfiguration,
  IsMultiUser: ({ sharedUsers }) => sharedUsers,
  DeviceCapacity: () => 119.21,
  AvailableDeviceCapacity: () => 87.5,
  BatteryLevel: () => 0.8,
  CellularTechnology: ({ facts }) => (facts.platform === 'ios' ? 3 : 0),
  IsActivationLockEnabled: ({ condition }) => condition.activationLock,
  IsCloudBackupEnabled: () => false,
  IsDeviceLocatorServiceEnabled: () => false,
  IsDoNotDisturbInEffect: () => false,
  IsMDMLostModeEnabled: ({ condition }) => condition.lostMode !== undefined,
  IsNetworkTethered: () => false,
  IsRoaming: () => false,
  DataRoamingEnabled: (self) => isOn(self, 'DataRoaming'),
  VoiceRoamingEnabled: (self) => isOn(self, 'VoiceRoaming'),
  PersonalHotspotEnabled: (self) => isOn(self, 'PersonalHotspot'),
  DiagnosticSubmissionEnabled: (self) => isOn(self, 'DiagnosticSubmission'),
  AppAnalyticsEnabled: (self) => isOn(self, 'AppAnalytics'),
  iTunesStoreAccountIsActive: ({ holding }) => holding.options.account === true,
  Languages: () => ['en-CH', 'de-CH', 'fr-CH'],
  Locales: () => ['en_CH', 'de_CH', 'fr_CH'],
  TimeZone: ({ condition }) => settingOf(condition, 'TimeZone')?.['TimeZone'] ?? 'Europe/Zurich',
  WiFiMAC: ({ facts }) => macOf(facts.serialNumber, 0),
  BluetoothMAC: ({ facts }) => macOf(facts.serialNumber, 1),
  MDMOptions: ({ condition }) =>
    settingOf(condition, 'MDMOptions')?.['MDMOptions'] ?? { ActivationLockAllowedWhileSupervised: false },
  OrganizationInfo: ({ condition }) => {
    const setting = settingOf(condition, 'OrganizationInfo')
    return setting === undefined ? { OrganizationName: 'Example AG' } : setting['OrganizationInfo']
  },
  SoftwareUpdateDeviceID: (self) => (majorVersion(self) < 27 ? self.facts.productName : undefined),
  HostName: (self) => (isMac(self) ? settingOf(self.condition, 'HostName')?.['HostName'] : undefined),
  PINRequiredForDeviceLock: (self) => (isMac(self) ? true : undefined),
  PINRequiredForEraseDevice: (self) => (isMac(self) ? false : undefined),
  QuotaSize: ({ sharedUsers }) => (sharedUsers ? 8 * GIB : undefined),
  ResidentUsers: ({ sharedUsers }) => (sharedUsers ? 2 : undefined),
}

/** What a device with a user enrollment never tells. */
const NOT_PERSONAL = wordSet(`
  AwaitingConfiguration BluetoothMAC DataRoamingEnabled IMEI IsActivationLockEnabled IsCloudBackupEnabled
  IsDoNotDisturbInEffect IsMDMLostModeEnabled IsRoaming PersonalHotspotEnabled SerialNumber ServiceSubscriptions
  SoftwareUpdateDeviceID UDID VoiceRoamingEnabled WiFiMAC iTunesStoreAccountIsActive
`)

/** The `QueryResponses` to these queries. */
export function queryResponses(queries: readonly string[], self: DeviceSelf): PlistDict {
  const answers: PlistDict = {}
  for (const query of queries) {
    if (self.isPersonal && NOT_PERSONAL.has(query)) continue
    const value = Object.hasOwn(QUERIES, query) ? QUERIES[query]?.(self) : undefined
    if (value !== undefined) answers[query] = value
  }
  return answers
}

function isOn({ condition }: DeviceSelf, item: string): boolean {
  return settingOf(condition, item)?.['Enabled'] === true
}

/** The line of a phone, made up from its IMEI. */
function subscriptions(imei: string): PlistDict[] {
  const digits = imei.slice(-10)
  return [
    {
      Slot: 'CTSubscriptionSlotOne',
      IMEI: imei,
      ICCID: `894101${digits}123`,
      EID: `8904903200000888260${digits}00`,
      PhoneNumber: `+4178${digits.slice(-7)}`,
      Label: 'Primary',
      CurrentCarrierNetwork: 'Example Mobile',
      IsDataPreferred: true,
      IsRoaming: false,
      IsVoicePreferred: true,
    },
  ]
}

/** A made-up address that stays the same for a device. */
function macOf(serialNumber: string, offset: number): string {
  const tail = Buffer.from(serialNumber.slice(-4)).map((byte) => (byte + offset) & 0xff)
  return ['f0', 'd1', ...[...tail].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}
