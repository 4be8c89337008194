import { isRecord } from '../../../kernel/records.ts'
import { dateOf, dictsOf, flagOf, integerOf, numberOf, textOf, told } from './values.ts'

/** The lines of a device that are read. */
const MOST_LINES = 16

/**
 * What a device told of itself (Apple: DeviceInformation, SecurityInfo), by the names of this product; what it did not tell, or
 * in no form that can be understood, is not there.
 */
export type ToldFacts = ReturnType<typeof readDeviceFacts> & ReturnType<typeof readSecurityFacts>

/** The facts in the answers to DeviceInformation. */
export function readDeviceFacts(answers: unknown) {
  const from = isRecord(answers) ? answers : {}
  const lines = dictsOf(from['ServiceSubscriptions']).slice(0, MOST_LINES)
  return told({
    device_name: textOf(from['DeviceName']),
    os_version: textOf(from['OSVersion']),
    os_version_extra: textOf(from['SupplementalOSVersionExtra']),
    build_version: textOf(from['BuildVersion']),
    supplemental_build_version: textOf(from['SupplementalBuildVersion']),
    product_name: textOf(from['ProductName']),
    model_name: textOf(from['ModelName']),
    model: textOf(from['Model']),
    model_number: textOf(from['ModelNumber']),
    serial_number: textOf(from['SerialNumber']),
    udid: textOf(from['UDID']),
    supervised: flagOf(from['IsSupervised']),
    imei: allOf('IMEI', from, lines)[0],
    meid: allOf('MEID', from, lines)[0],
    wifi_mac: textOf(from['WiFiMAC'])?.toLowerCase(),
    bluetooth_mac: textOf(from['BluetoothMAC'])?.toLowerCase(),
    ethernet_mac: textOf(from['EthernetMAC'])?.toLowerCase(),
    host_name: textOf(from['HostName']),
    time_zone: textOf(from['TimeZone']),
    carrier:
      allOf('CurrentCarrierNetwork', from, lines)[0] ?? allOf('SubscriberCarrierNetwork', from, lines)[0],
    phone_numbers: listOrNothing(allOf('PhoneNumber', from, lines)),
    imeis: listOrNothing(allOf('IMEI', from, lines)),
    meids: listOrNothing(allOf('MEID', from, lines)),
    iccids: listOrNothing(allOf('ICCID', from, lines)),
    eids: listOrNothing(allOf('EID', from, lines)),
    battery_level: shareOf(from['BatteryLevel']),
    capacity_gb: sizeOf(from['DeviceCapacity']),
    available_capacity_gb: sizeOf(from['AvailableDeviceCapacity']),
    is_multi_user: flagOf(from['IsMultiUser']),
    apple_silicon: flagOf(from['IsAppleSilicon']),
    activation_lock_enabled: flagOf(from['IsActivationLockEnabled']),
    cloud_backup_enabled: flagOf(from['IsCloudBackupEnabled']),
    last_cloud_backup_at: timeOf(from['LastCloudBackupDate']),
    lost_mode_enabled: flagOf(from['IsMDMLostModeEnabled']),
  })
}

/** The facts in an answer to SecurityInfo. */
export function readSecurityFacts(answer: unknown) {
  const from = isRecord(answer) ? answer : {}
  const inside = (key: string): Record<string, unknown> => {
    const value = from[key]
    return isRecord(value) ? value : {}
  }
  const management = inside('ManagementStatus')
  return told({
    passcode_present: flagOf(from['PasscodePresent']),
    passcode_compliant: flagOf(from['PasscodeCompliant']),
    passcode_compliant_with_profiles: flagOf(from['PasscodeCompliantWithProfiles']),
    hardware_encryption: integerOf(from['HardwareEncryptionCaps']),
    file_vault_enabled: flagOf(from['FDE_Enabled']),
    file_vault_has_personal_key: flagOf(from['FDE_HasPersonalRecoveryKey']),
    file_vault_has_institutional_key: flagOf(from['FDE_HasInstitutionalRecoveryKey']),
    firewall_enabled: flagOf(inside('FirewallSettings')['FirewallEnabled']),
    firmware_password: flagOf(inside('FirmwarePasswordStatus')['PasswordExists']),
    recovery_lock_enabled: flagOf(from['IsRecoveryLockEnabled']),
    system_integrity_protection: flagOf(from['SystemIntegrityProtectionEnabled']),
    secure_boot: textOf(inside('SecureBoot')['SecureBootLevel']),
    remote_desktop_enabled: flagOf(from['RemoteDesktopEnabled']),
    user_approved: flagOf(management['UserApprovedEnrollment']),
    activation_lock_manageable: flagOf(management['IsActivationLockManageable']),
  })
}

/** The values of a key at the top and in each line, each once. */
function allOf(
  key: string,
  top: Record<string, unknown>,
  lines: readonly Record<string, unknown>[],
): string[] {
  return [...new Set([...lines, top].flatMap((each) => textOf(each[key]) ?? []))]
}

function listOrNothing(list: string[]): string[] | undefined {
  return list.length === 0 ? undefined : list
}

/** From 0 to 1, to four places; Apple's -1 is none. */
function shareOf(value: unknown): number | undefined {
  const share = numberOf(value)
  return share !== undefined && share >= 0 && share <= 1 ? Math.round(share * 1e4) / 1e4 : undefined
}

/** Gigabytes, to two places. */
function sizeOf(value: unknown): number | undefined {
  const size = numberOf(value)
  return size !== undefined && size >= 0 && size < 1e9 ? Math.round(size * 100) / 100 : undefined
}

function timeOf(value: unknown): string | undefined {
  const time = dateOf(value)
  return time === undefined ? undefined : new Date(time).toISOString()
}
