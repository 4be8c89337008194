import { describe, expect, test } from 'vitest'
import { unsuitedReasons, type SuitedDevice } from '../../../../src/protocol/mdm/index.ts'
import type { PlistDict } from '../../../../src/protocol/plist/index.ts'

const phone: SuitedDevice = {
  type: 'device',
  product_name: 'iPhone15,2',
  os_version: '18.1',
  supervised: true,
  way: 'ade',
  is_over: false,
}
const mac: SuitedDevice = { ...phone, product_name: 'MacBookPro18,3', os_version: '15.1' }

const reasons = (device: SuitedDevice, type: string, command: Record<string, unknown> = {}) =>
  unsuitedReasons(device, type, command as PlistDict).reasons

describe('a command does not suit', () => {
  test.each<[string, SuitedDevice, string, string[]]>([
    ['a system that does not have it', phone, 'RotateFileVaultKey', ['platform']],
    ['a phone that is not supervised', { ...phone, supervised: false }, 'RestartDevice', ['supervision']],
    ['a version before it', { ...phone, os_version: '9.2' }, 'EnableLostMode', ['os_version']],
    ['a version after it', { ...phone, os_version: '27.0' }, 'ScheduleOSUpdate', ['os_version', 'retired']],
    ['the same of a Mac', { ...mac, os_version: '27.1.1' }, 'AvailableOSUpdates', ['os_version', 'retired']],
    ['a user enrollment', { ...phone, type: 'user_enrollment_device' }, 'EraseDevice', ['enrollment_type']],
    ['a Shared iPad alone', phone, 'LogOutUser', ['enrollment_type']],
    ['a device that came by a link', { ...mac, way: 'link' }, 'AccountConfiguration', ['enrollment_type']],
    ['a user channel', { ...mac, type: 'user' }, 'DeviceLock', ['channel']],
    ['a device channel', mac, 'InviteToProgram', ['channel']],
    [
      'a user of a Shared iPad',
      { ...phone, type: 'shared_ipad_user', product_name: 'iPad14,1' },
      'RestartDevice',
      ['channel'],
    ],
    ['a device that was erased', { ...phone, is_over: true }, 'ProfileList', ['retired']],
    [
      'several at once',
      { ...phone, supervised: false, os_version: '9.0' },
      'EnableLostMode',
      ['os_version', 'supervision'],
    ],
  ])('%s', (_, device, type, expected) => {
    expect(reasons(device, type)).toEqual(expected)
  })
})

describe('what is not known is no reason', () => {
  const silent = { ...phone, os_version: null, supervised: null, way: null }
  test.each<[SuitedDevice, string]>([
    [silent, 'ScheduleOSUpdate'],
    [silent, 'RestartDevice'],
    [{ ...silent, product_name: null }, 'RotateFileVaultKey'],
    [{ ...silent, product_name: 'Toaster1,1' }, 'RotateFileVaultKey'],
    [{ ...phone, os_version: 'a beta' }, 'ScheduleOSUpdate'],
    [{ ...phone, product_name: 'iPad14,1' }, 'UserList'],
    [phone, 'NoSuchCommand'],
  ])('%j %s', (device, type) => {
    expect(reasons(device, type)).toEqual([])
  })
})

describe('parts of a command', () => {
  test('a setting that a device does not have is refused, a query is left out with a warning', () => {
    const setting = (Item: string) => ({ Settings: [{ Item, Enabled: true }] })
    expect(reasons(mac, 'Settings', setting('VoiceRoaming'))).toEqual(['platform'])
    expect(reasons({ ...phone, supervised: false }, 'Settings', setting('Bluetooth'))).toEqual([
      'supervision',
    ])
    expect(unsuitedReasons(phone, 'DeviceInformation', { Queries: ['IsAppleSilicon'] })).toEqual({
      reasons: [],
      details: [],
      warnings: ['The query IsAppleSilicon does not exist on iOS. It is left out.'],
    })
    expect(unsuitedReasons(phone, 'DeviceLock', { PIN: '123456' }).warnings).toHaveLength(1)
  })

  test('what OS 27 has removed is refused, with what takes its place', () => {
    const command = { Queries: ['UDID', 'SoftwareUpdateSettings'] }
    const old = unsuitedReasons({ ...phone, os_version: '26.1' }, 'DeviceInformation', command)
    expect(old.reasons).toEqual([])
    expect(old.warnings.join()).toContain('deprecated since iOS 26.0')
    const now = unsuitedReasons({ ...phone, os_version: '27.0' }, 'DeviceInformation', command)
    expect(now.reasons).toEqual(['os_version', 'retired'])
    expect(now.details).toEqual([
      'The query SoftwareUpdateSettings was removed in iOS 27.0. Use the declaration com.apple.configuration.softwareupdate.settings instead.',
    ])
    const setting = { Settings: [{ Item: 'SoftwareUpdateSettings', RecommendationCadence: 1 }] }
    expect(reasons({ ...phone, os_version: '27.0' }, 'Settings', setting)).toEqual(['os_version', 'retired'])
  })
})
