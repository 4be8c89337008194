import { expect, test } from 'vitest'
import { checkCommand, listCommandTypes, markDataKeys } from '../../../../src/protocol/mdm/index.ts'
import type { PlistDict } from '../../../../src/protocol/plist/index.ts'

const faultsOf = (type: string, command: Record<string, unknown>) =>
  checkCommand(type, command as PlistDict).faults.map(({ pointer, isOfKeys }) => [pointer, isOfKeys])

test.each([
  ['DeviceInformation', { Queries: ['UDID', 'OSVersion'] }],
  [
    'DeviceInformation',
    { Queries: ['DevicePropertiesAttestation'], DeviceAttestationNonce: Buffer.alloc(8) },
  ],
  ['ProfileList', {}],
  ['ProfileList', { RequestType: 'ProfileList', ManagedOnly: true, RequestRequiresNetworkTether: false }],
  ['EraseDevice', { ReturnToService: { Enabled: true, BootstrapToken: Buffer.alloc(1) } }],
  ['InstallApplication', { iTunesStoreID: 1, Configuration: { 'what/ever': [1, 2.5, { x: true }] } }],
  [
    'Settings',
    {
      Settings: [
        { Item: 'DeviceName', DeviceName: 'x' },
        { Item: 'Bluetooth', Enabled: true },
      ],
    },
  ],
  ['Settings', { Settings: [{ Item: 'MDMOptions', MDMOptions: { IdleRebootAllowed: true } }] }],
  ['Settings', { Settings: [{ Item: 'DefaultApplications', WebBrowser: 'org.mozilla.ios.Firefox' }] }],
  ['RestartDevice', { NotifyUser: true, KextPaths: ['/a'] }],
])('%s %j is a command of the schema', (type, command) => {
  expect(checkCommand(type, command as unknown as PlistDict).faults).toEqual([])
})

test.each([
  ['DeviceInformation', {}, [['/Queries', true]]],
  ['ProfileList', { RequestType: 'EraseDevice' }, [['/RequestType', true]]],
  ['DeviceInformation', { Queries: 'UDID' }, [['/Queries', true]]],
  ['DeviceInformation', { Queries: ['UDID', 7] }, [['/Queries/1', true]]],
  ['DeviceInformation', { Queries: ['UUID'] }, [['/Queries/0', false]]],
  [
    'DeviceLock',
    { Massage: 'x', PIN: 123456 },
    [
      ['/Massage', true],
      ['/PIN', true],
    ],
  ],
  ['DeviceLock', { constructor: 'x' }, [['/constructor', true]]],
  ['DeviceLock', { 'a/b~c': 'x' }, [['/a~1b~0c', true]]],
  [
    'EraseDevice',
    { ReturnToService: { WiFiProfileData: 'x' } },
    [
      ['/ReturnToService/WiFiProfileData', true],
      ['/ReturnToService/Enabled', true],
    ],
  ],
  ['EraseDevice', { ObliterationBehavior: 'Maybe' }, [['/ObliterationBehavior', false]]],
  ['Settings', { Settings: [{ DeviceName: 'x' }] }, [['/Settings/0/Item', true]]],
  [
    'Settings',
    { Settings: [{ Item: 'DeviceNames' }, 3] },
    [
      ['/Settings/0/Item', false],
      ['/Settings/1', true],
    ],
  ],
  [
    'Settings',
    { Settings: [{ Item: 'DeviceName', Name: 'x' }] },
    [
      ['/Settings/0/Name', true],
      ['/Settings/0/DeviceName', true],
    ],
  ],
  [
    'Settings',
    { Settings: [{ Item: 'PasscodeLockGracePeriod', PasscodeLockGracePeriod: 61 }] },
    [['/Settings/0/PasscodeLockGracePeriod', false]],
  ],
  [
    'InstallApplication',
    { iTunesStoreID: 'x', ManagementFlags: 2 },
    [
      ['/iTunesStoreID', true],
      ['/ManagementFlags', false],
    ],
  ],
  ['NoSuchCommand', { a: 1 }, [['/RequestType', false]]],
  ['__proto__', {}, [['/RequestType', false]]],
])('%s %j has faults', (type, command, faults) => {
  expect(faultsOf(type, command)).toEqual(faults)
})

test('a fault says what may have been meant', () => {
  const [fault] = checkCommand('DeviceLock', { Massage: 'x' }).faults
  expect(fault?.detail).toBe('This key is not known here; it may be Message.')
})

test('there is an end to what is told of a command, and to the time it takes', () => {
  const wrong = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`${'x'.repeat(500)}${at}`, at]))
  const begun = performance.now()
  expect(checkCommand('DeviceLock', wrong as PlistDict).faults).toHaveLength(100)
  expect(performance.now() - begun).toBeLessThan(2_000)
})

test('plain texts are data and dates where the schema says so', () => {
  expect(
    markDataKeys('Settings', {
      Settings: [
        { Item: 'Wallpaper', Image: 'AAAA', Where: 1 },
        { Item: 'DeviceName', Image: 'AAAA' },
      ],
    }),
  ).toEqual({
    Settings: [
      { Item: 'Wallpaper', Image: { $data: 'AAAA' }, Where: 1 },
      { Item: 'DeviceName', Image: 'AAAA' },
    ],
  })
  expect(markDataKeys('EraseDevice', { ReturnToService: { BootstrapToken: 'AA==' } })).toEqual({
    ReturnToService: { BootstrapToken: { $data: 'AA==' } },
  })
  expect(markDataKeys('InstallEnterpriseApplication', { ManifestURLPinningCerts: ['AA=='] })).toEqual({
    ManifestURLPinningCerts: [{ $data: 'AA==' }],
  })
  expect(markDataKeys('NoSuchCommand', { Payload: 'AA==' })).toEqual({ Payload: 'AA==' })
})

test('the schema has the commands of Apple, each on some system', () => {
  const types = listCommandTypes()
  expect(types).toHaveLength(68)
  for (const { request_type, on } of types) expect(Object.values(on).some(Boolean), request_type).toBe(true)
})
