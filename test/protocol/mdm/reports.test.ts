import { describe, expect, test } from 'vitest'
import { packBytes, toJson, type InventoryKind } from '../../../src/protocol/mdm/index.ts'
import { extractInventory } from '../../../src/protocol/mdm/inventory.ts'
import { readReport } from '../../../src/protocol/mdm/reports/read-report.ts'
import type { PlistDict } from '../../../src/protocol/plist/index.ts'

const read = (kind: InventoryKind, value: unknown) =>
  readReport(kind, packBytes(Buffer.from(JSON.stringify(value))))
const facts = (answers: PlistDict) => read('device_information', toJson(answers))

describe('what a device tells of itself', () => {
  test('an iPhone with two lines', () => {
    expect(
      facts({
        DeviceName: 'Ada’s iPhone ',
        OSVersion: '17.5.1',
        SupplementalOSVersionExtra: '(a)',
        BuildVersion: '21F90',
        IsSupervised: true,
        BatteryLevel: 0.85,
        DeviceCapacity: 119.2087,
        WiFiMAC: 'F0:D1:00:00:00:01',
        LastCloudBackupDate: new Date('2026-01-02T03:04:05Z'),
        ServiceSubscriptions: [
          {
            Slot: 'One',
            IMEI: '35 123456 789012 3',
            PhoneNumber: '+41791112233',
            CurrentCarrierNetwork: 'Swisscom',
          },
          { Slot: 'Two', IMEI: '351234567890999', ICCID: '8941' },
        ],
      }),
    ).toEqual({
      kind: 'device_information',
      facts: {
        device_name: 'Ada’s iPhone',
        os_version: '17.5.1',
        os_version_extra: '(a)',
        build_version: '21F90',
        supervised: true,
        battery_level: 0.85,
        capacity_gb: 119.21,
        wifi_mac: 'f0:d1:00:00:00:01',
        last_cloud_backup_at: '2026-01-02T03:04:05.000Z',
        carrier: 'Swisscom',
        imei: '35 123456 789012 3',
        imeis: ['35 123456 789012 3', '351234567890999'],
        iccids: ['8941'],
        phone_numbers: ['+41791112233'],
      },
    })
  })

  test.each([
    [
      { BatteryLevel: '0.5', DeviceCapacity: '64', IsSupervised: 1 },
      { battery_level: 0.5, capacity_gb: 64, supervised: true },
    ],
    [{ BatteryLevel: -1, DeviceName: '', OSVersion: 17 }, { os_version: '17' }],
    [{ BatteryLevel: 1e-50 }, { battery_level: 0 }],
    [{ BatteryLevel: 'full', IsSupervised: 'maybe', ServiceSubscriptions: 'none', WiFiMAC: [] }, {}],
    [
      { ServiceSubscriptions: { IMEI: '1', PhoneNumber: 4179 } },
      { imei: '1', imeis: ['1'], phone_numbers: ['4179'] },
    ],
    [{ DeviceName: 'a\u0000b' }, { device_name: 'a\uFFFDb' }],
  ])('takes %j as what it means', (answers, told) => {
    expect(facts(answers)).toEqual({ kind: 'device_information', facts: told })
  })

  test('of its security, of a Mac', () => {
    expect(
      read('security_info', {
        FDE_Enabled: true,
        PasscodePresent: 'true',
        HardwareEncryptionCaps: '3',
        FirewallSettings: { FirewallEnabled: false },
        SecureBoot: { SecureBootLevel: 'full' },
        ManagementStatus: 'odd',
      }),
    ).toEqual({
      kind: 'security_info',
      facts: {
        file_vault_enabled: true,
        passcode_present: true,
        hardware_encryption: 3,
        firewall_enabled: false,
        secure_boot: 'full',
      },
    })
  })
})

describe('lists', () => {
  test('of profiles: each once, without what has no identifier', () => {
    const wifi = {
      PayloadIdentifier: 'ch.example.wifi',
      PayloadUUID: 'A',
      IsManaged: true,
      PayloadVersion: '1',
    }
    const content = [{ PayloadType: 'b' }, { PayloadType: 'a' }, { PayloadType: 'b' }, 'odd']
    const list = [wifi, { ...wifi, PayloadContent: content }, { PayloadUUID: 'B' }, 'odd', null]
    expect(read('profiles', list)).toMatchObject({
      profiles: [
        {
          identifier: 'ch.example.wifi',
          uuid: 'A',
          is_managed: true,
          payload_version: 1,
          payload_types: ['a', 'b'],
        },
      ],
    })
  })

  test('of apps: of two with one identifier the later version', () => {
    const app = (ShortVersion: string) => ({ Identifier: 'ch.example.app', ShortVersion, BundleSize: 1e20 })
    expect(
      read('installed_applications', [app('9.0'), app('10.0'), app('2.0'), { Name: 'none' }]),
    ).toMatchObject({
      apps: [{ identifier: 'ch.example.app', short_version: '10.0', bundle_size: null }],
    })
  })

  test('of managed apps: those with a status', () => {
    const dict = {
      'ch.example.app': { Status: 'Managed', ManagementFlags: '1' },
      'ch.example.odd': 'Managed',
      '': {},
    }
    expect(read('managed_applications', dict)).toEqual({
      kind: 'managed_applications',
      apps: [
        {
          identifier: 'ch.example.app',
          managed_status: 'Managed',
          management_flags: 1,
          has_configuration: null,
          has_feedback: null,
        },
      ],
    })
    expect(read('managed_applications', ['odd'])).toMatchObject({ apps: [] })
  })

  test('are bounded, and identifiers too', () => {
    const many = Array.from({ length: 6_000 }, (_, n) => ({ PayloadIdentifier: `p${n}` }))
    expect(read('profiles', many)).toHaveProperty('profiles.length', 5_000)
    expect(read('profiles', [{ PayloadIdentifier: 'é'.repeat(300) }])).toHaveProperty('profiles', [])
    expect(read('profiles', [{ PayloadIdentifier: 'ch.wifi ' }])).toHaveProperty(
      'profiles.0.identifier',
      'ch.wifi ',
    )
  })

  test('some send one dictionary where a list belongs', () => {
    const app = { Identifier: 'ch.example.app' }
    const one = extractInventory({ InstalledApplicationList: app })
    expect(one).toEqual({ kind: 'installed_applications', data: [app] })
    expect(extractInventory({ ManagedApplicationList: {} })?.kind).toBe('managed_applications')
    expect(extractInventory({ GlobalRestrictions: { a: 1 } })).toEqual({
      kind: 'restrictions',
      data: { GlobalRestrictions: { a: 1 } },
    })
    expect(extractInventory({ GlobalRestrictions: 'odd' })).toBeUndefined()
  })
})
