import { describe, expect, test } from 'vitest'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { ask, chainOf, mobileconfig, payload } from './configuration-world.ts'
import { command, useStage } from './enrolled.ts'

const stage = useStage()
const unsupervised = () => ({ facts: { ...stage.device().facts, supervised: false } })
const mac = () => ({ facts: { ...stage.device().facts, platform: 'macos' as const } })
const release = (osVersion: string) => ({ facts: { ...stage.device().facts, osVersion } })

async function told(device: Device, ...Queries: string[]): Promise<PlistDict> {
  return (await ask(stage, device, 'DeviceInformation', { Queries }))['QueryResponses'] as PlistDict
}

/** The last unlock token that the server was given. */
function unlockToken(): Uint8Array<ArrayBuffer> {
  const tokens = stage.server.seen.flatMap(({ message }) => message['UnlockToken'] ?? [])
  return tokens.at(-1) as Uint8Array<ArrayBuffer>
}

describe('Settings', () => {
  test('a new name is told from then on', async () => {
    const device = await stage.enrolled()
    const Settings = [{ Item: 'DeviceName', DeviceName: 'Reception 1' }]
    expect(await ask(stage, device, 'Settings', { Settings })).toMatchObject({
      Settings: [{ Status: 'Acknowledged' }],
    })
    expect(await told(device, 'DeviceName')).toEqual({ DeviceName: 'Reception 1' })
    device.person.rename('My phone')
    expect(await told(device, 'DeviceName')).toEqual({ DeviceName: 'My phone' })
  })

  test('what was set is told', async () => {
    const device = await stage.enrolled()
    const Settings = [
      { Item: 'TimeZone', TimeZone: 'Europe/Rome' },
      { Item: 'OrganizationInfo', OrganizationInfo: { OrganizationName: 'Us' } },
      { Item: 'DataRoaming', Enabled: true },
      { Item: 'MDMOptions', MDMOptions: { ActivationLockAllowedWhileSupervised: true } },
    ]
    await ask(stage, device, 'Settings', { Settings })
    expect(await told(device, 'TimeZone', 'OrganizationInfo', 'DataRoamingEnabled', 'MDMOptions')).toEqual({
      TimeZone: 'Europe/Rome',
      OrganizationInfo: { OrganizationName: 'Us' },
      DataRoamingEnabled: true,
      MDMOptions: { ActivationLockAllowedWhileSupervised: true },
    })
  })

  test.each<[string, () => object, Record<string, string | boolean>, string]>([
    ['one that there is not', () => ({}), { Item: 'Mood' }, 'MCSettingsErrorDomain 28000'],
    [
      'one of Shared iPads',
      () => ({}),
      { Item: 'AppAnalytics', Enabled: true },
      'MCSettingsErrorDomain 28000',
    ],
    ['one without its key', () => ({}), { Item: 'Bluetooth' }, 'MCMDMErrorDomain 12008'],
    [
      'a name without supervision',
      unsupervised,
      { Item: 'DeviceName', DeviceName: 'x' },
      'MCChaperoneErrorDomain 29000',
    ],
    [
      'one that OS 27 has no more',
      () => release('27.0'),
      { Item: 'SoftwareUpdateSettings' },
      'MCSettingsErrorDomain 28000',
    ],
    ['a wallpaper on a Mac', mac, { Item: 'Wallpaper' }, 'MCSettingsErrorDomain 28000'],
  ])('%s is an error of its own', async (_, options, setting, chain) => {
    const device = await stage.enrolled(options())
    const { Status, Settings } = await ask(stage, device, 'Settings', { Settings: [setting] })
    expect(Status).toBe('Acknowledged')
    expect(chainOf((Settings as PlistDict[])[0]!)).toEqual([chain])
  })
})

describe('MDM Lost Mode', () => {
  const MESSAGE = { Message: 'Please call', PhoneNumber: '+41 44 000 00 00' }

  test('is told, gives the location, and sounds', async () => {
    const device = await stage.enrolled()
    expect(chainOf(await ask(stage, device, 'DeviceLocation'))).toEqual(['MCMDMErrorDomain 12067'])
    expect(chainOf(await ask(stage, device, 'DisableLostMode'))).toEqual(['MCMDMErrorDomain 12067'])
    await ask(stage, device, 'EnableLostMode', MESSAGE)
    expect(device.view().lostMode).toEqual({ message: 'Please call', phoneNumber: '+41 44 000 00 00' })
    expect(await told(device, 'IsMDMLostModeEnabled')).toEqual({ IsMDMLostModeEnabled: true })
    device.person.goTo({ latitude: 46.9481, longitude: 7.4474, accuracy: 30 })
    expect(await ask(stage, device, 'DeviceLocation')).toMatchObject({
      Latitude: 46.9481,
      Longitude: 7.4474,
      HorizontalAccuracy: 30,
      Timestamp: stage.clock.now().toISOString(),
    })
    await ask(stage, device, 'PlayLostModeSound')
    expect(device.view().sounds).toBe(1)
    expect(await ask(stage, device, 'DeviceLock')).toMatchObject({ MessageResult: 'DeviceInLostMode' })
    await ask(stage, device, 'DisableLostMode')
    expect(await told(device, 'IsMDMLostModeEnabled')).toEqual({ IsMDMLostModeEnabled: false })
  })

  test.each([
    'InstallProfile',
    'InstallApplication',
    'ProfileList',
    'Settings',
    'SecurityInfo',
    'InstalledApplicationList',
  ])('refuses %s with 12078', async (requestType) => {
    const device = await stage.enrolled()
    await ask(stage, device, 'EnableLostMode', MESSAGE)
    expect(chainOf(await ask(stage, device, requestType))).toEqual(['MCMDMErrorDomain 12078'])
  })

  test('needs something to show, and a supervised phone', async () => {
    const device = await stage.enrolled()
    expect(chainOf(await ask(stage, device, 'EnableLostMode', { Footnote: 'x' }))).toEqual([
      'MCMDMErrorDomain 12066',
    ])
    const own = await stage.enrolled(unsupervised())
    expect(chainOf(await ask(stage, own, 'EnableLostMode', MESSAGE))).toEqual(['MCMDMErrorDomain 12021'])
  })

  test('does not outlive an erasure', async () => {
    const device = await stage.enrolled()
    await ask(stage, device, 'EnableLostMode', MESSAGE)
    await ask(stage, device, 'EraseDevice')
    expect(device.view().lostMode).toBeUndefined()
  })
})

describe('locking', () => {
  test.each([
    ['with a message', { Message: 'Locked' }, true, { MessageResult: 'Success' }],
    ['with a message, without passcode', { Message: 'Locked' }, false, { MessageResult: 'NoPasscodeSet' }],
    ['without anything', {}, true, { Status: 'Acknowledged' }],
  ])('a phone %s', async (_, keys, passcode, answer) => {
    const device = await stage.enrolled()
    device.person.setPasscode(passcode)
    expect(await ask(stage, device, 'DeviceLock', keys)).toMatchObject(answer)
    expect(device.view().lock).toBeDefined()
  })

  test('a Mac needs a PIN', async () => {
    const device = await stage.enrolled(mac())
    expect(chainOf(await ask(stage, device, 'DeviceLock'))).toEqual(['MCMDMErrorDomain 12008'])
    expect(chainOf(await ask(stage, device, 'DeviceLock', { PIN: '12345' }))).toEqual([
      'MCMDMErrorDomain 12008',
    ])
    await ask(stage, device, 'DeviceLock', { PIN: '123456', Message: 'Bring it back' })
    expect(device.view().lock).toEqual({ pin: '123456', message: 'Bring it back' })
  })
})

describe('the passcode', () => {
  test('is cleared by the unlock token that was given last, and by no other', async () => {
    const device = await stage.enrolled()
    const before = unlockToken()
    await device.updateToken()
    expect(chainOf(await ask(stage, device, 'ClearPasscode', { UnlockToken: before }))).toEqual([
      'MCMDMErrorDomain 12017',
    ])
    expect(device.view().passcode).toBe(true)
    expect(await ask(stage, device, 'ClearPasscode', { UnlockToken: unlockToken() })).toMatchObject({
      Status: 'Acknowledged',
    })
    expect(device.view().passcode).toBe(false)
  })

  test('one without UnlockToken leaves the former one good', async () => {
    const device = await stage.enrolled()
    await device.updateToken({ withUnlockToken: false })
    expect(await ask(stage, device, 'ClearPasscode', { UnlockToken: unlockToken() })).toMatchObject({
      Status: 'Acknowledged',
    })
  })

  test('SecurityInfo tells whether there is one, and whether there should be', async () => {
    const device = await stage.enrolled()
    device.person.setPasscode(false)
    const rules = [payload('com.apple.mobiledevice.passwordpolicy', { forcePIN: true })]
    expect(await ask(stage, device, 'SecurityInfo')).toMatchObject({
      SecurityInfo: { PasscodePresent: false, PasscodeCompliantWithProfiles: true },
    })
    await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('ch.example.passcode', rules) })
    expect(await ask(stage, device, 'SecurityInfo')).toMatchObject({
      SecurityInfo: { PasscodePresent: false, PasscodeCompliantWithProfiles: false },
    })
  })
})

describe('Activation Lock', () => {
  test('its bypass code is another one in each life, and not there for ever', async () => {
    const device = await stage.enrolled()
    const code = async () =>
      (await ask(stage, device, 'ActivationLockBypassCode'))['ActivationLockBypassCode']
    const first = await code()
    expect(first).toMatch(/^[0-9A-Z]{5}-[0-9A-Z]{5}(-[0-9A-Z]{4}){4}$/)
    expect(await code()).toBe(first)
    stage.clock.advance(15 * 86_400_000)
    expect(chainOf(await ask(stage, device, 'ActivationLockBypassCode'))).toEqual(['MCMDMErrorDomain 12005'])
    await device.enroll({ url: `${stage.server.url}/profile` })
    expect(await code()).not.toBe(first)
    device.person.turnOnActivationLock()
    expect(await told(device, 'IsActivationLockEnabled')).toEqual({ IsActivationLockEnabled: true })
  })
})

describe('EraseDevice', () => {
  test('leaves nothing but what was given for the time after', async () => {
    const device = await stage.enrolled()
    await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('ch.example.wifi') })
    await ask(stage, device, 'InstallApplication', { iTunesStoreID: 1, Options: { PurchaseMethod: 1 } })
    await ask(stage, device, 'Settings', { Settings: [{ Item: 'DeviceName', DeviceName: 'Reception 1' }] })
    const MDMProfileData = await stage.server.signedProfile()
    const ReturnToService = { Enabled: true, MDMProfileData, WiFiProfileData: Buffer.from('wifi') }
    await ask(stage, device, 'EraseDevice', { PreserveDataPlan: true, ReturnToService })
    expect(device.status()).toBe('erased')
    expect(device.view()).toMatchObject({
      profiles: [],
      apps: [],
      settings: {},
      erasure: { preserveDataPlan: true, returnToService: { wifiProfile: Buffer.from('wifi') } },
    })
    expect(device.view().deviceName).not.toBe('Reception 1')
    const profile = device.view().erasure?.returnToService?.mdmProfile
    expect(await device.enroll({ profile: profile! })).toEqual({ enrolled: true })
  })
})

describe('a restart', () => {
  test('ends the session, and most things wait until somebody unlocks the device', async () => {
    const device = await stage.enrolled({ lockedAfterStart: true })
    stage.server.queue.push(command('R', 'RestartDevice'), command('L', 'ProfileList'))
    expect(await device.poll()).toMatchObject({ end: 'restarting' })
    stage.server.queue.length = 0
    expect(await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('x') })).toMatchObject({
      Status: 'NotNow',
    })
    expect(await ask(stage, device, 'ProfileList')).toMatchObject({ Status: 'Acknowledged' })
    device.person.unlock()
    expect(await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('x') })).toMatchObject({
      Status: 'Acknowledged',
    })
  })
})

describe('DeviceConfigured', () => {
  test('ends the waiting once, and is an Error for who does not wait', async () => {
    const device = await stage.enrolled({ awaitConfiguration: true })
    expect(await ask(stage, device, 'DeviceConfigured')).toMatchObject({ Status: 'Acknowledged' })
    expect(device.awaiting()).toBe(false)
    expect(await ask(stage, device, 'DeviceConfigured')).toMatchObject({ Status: 'Error' })
  })
})

describe('what a device does not know', () => {
  test.each(['AvailableOSUpdates', 'OSUpdateStatus', 'ScheduleOSUpdate', 'ScheduleOSUpdateScan'])(
    '%s on OS 27',
    async (requestType) => {
      const device = await stage.enrolled(release('27.0'))
      expect(chainOf(await ask(stage, device, requestType))).toEqual(['MCMDMErrorDomain 12021'])
    },
  )

  test('queries that its OS has no more are left out', async () => {
    const device = await stage.enrolled(release('26.1'))
    expect(await told(device, 'IMEI', 'SoftwareUpdateDeviceID')).not.toHaveProperty('IMEI')
    device.person.updateOs('27.0', '25A1')
    expect(await told(device, 'OSVersion', 'BuildVersion', 'SoftwareUpdateDeviceID')).toEqual({
      OSVersion: '27.0',
      BuildVersion: '25A1',
    })
  })

  test('a user enrollment tells neither serial number nor apps of the person', async () => {
    const device = await stage.enrolled({ enrollmentId: 'E-1' })
    expect(await told(device, 'SerialNumber', 'UDID', 'OSVersion')).toEqual({
      OSVersion: device.facts.osVersion,
    })
    expect(await ask(stage, device, 'InstalledApplicationList')).toMatchObject({
      InstalledApplicationList: [],
    })
    expect(chainOf(await ask(stage, device, 'EraseDevice'))).toEqual(['MCMDMErrorDomain 12021'])
  })

  test('the server does what its profile allows, and nothing else', async () => {
    stage.server.profile = {}
    const device = await stage.enrolled()
    const rights = device.profile()!
    Object.assign(rights, { accessRights: 1 })
    expect(chainOf(await ask(stage, device, 'DeviceLock'))).toEqual(['MCMDMErrorDomain 12007'])
    expect(await ask(stage, device, 'ProfileList')).toMatchObject({ Status: 'Acknowledged' })
  })
})

describe('as the test says', () => {
  test('a command about one thing fails with that chain, and those about others do not', async () => {
    const link = { domain: 'MCWiFiErrorDomain', code: 13_000, description: 'Cannot install.' }
    const device = await stage.enrolled({
      mood: { script: { 'InstallProfile ch.example.wifi': [{ links: [link] }] } },
    })
    const install = (identifier: string) =>
      ask(stage, device, 'InstallProfile', { Payload: mobileconfig(identifier) })
    expect(await install('ch.example.mail')).toMatchObject({ Status: 'Acknowledged' })
    expect(chainOf(await install('ch.example.wifi'))).toEqual(['MCWiFiErrorDomain 13000'])
    expect(await install('ch.example.wifi')).toMatchObject({ Status: 'Acknowledged' })
    device.script('InstallApplication 5', 'NotNow')
    expect(await ask(stage, device, 'InstallApplication', { iTunesStoreID: 5 })).toMatchObject({
      Status: 'NotNow',
    })
  })

  test('a rule decides for ever', async () => {
    const decide = (type: string, about: string | undefined) =>
      type === 'RemoveProfile' && about === 'x' ? ('Error' as const) : undefined
    const device = await stage.enrolled({ mood: { decide } })
    for (const _ of [1, 2]) {
      expect(chainOf(await ask(stage, device, 'RemoveProfile', { Identifier: 'x' }))).toEqual([
        'MCMDMErrorDomain 12000',
      ])
    }
  })

  test('a result gets lost before the server has it, and the command was done all the same', async () => {
    const device = await stage.enrolled()
    device.lose('before', 'InstallProfile')
    stage.server.queue.push(command('A', 'InstallProfile', { Payload: mobileconfig('ch.example.wifi') }))
    expect(await device.poll()).toMatchObject({ end: 'later', results: { Acknowledged: 0 } })
    expect(stage.server.seen.at(-1)?.message).toMatchObject({ Status: 'Idle' })
    expect(device.view().profiles).toHaveLength(2)
  })

  test('or after, so that the device never sees the next command', async () => {
    const device = await stage.enrolled()
    device.lose('after')
    stage.server.queue.push(command('A', 'ProfileList'), command('B', 'ProfileList'))
    expect(await device.poll()).toMatchObject({ end: 'later' })
    expect(stage.server.seen.at(-1)?.message).toMatchObject({ CommandUUID: 'A' })
    expect(device.results()).toMatchObject([{ commandUuid: 'A', acknowledged: false }])
  })

  test('a drifting device loses what MDM brought', async () => {
    const device = await stage.enrolled({ drift: 1 })
    await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('ch.example.wifi') })
    await device.poll()
    expect(device.view().profiles.map(({ identifier }) => identifier)).toEqual(['ch.example.mdm'])
  })

  test('the person removes a profile, unless it may not be removed', async () => {
    const device = await stage.enrolled()
    const fixed = mobileconfig('ch.example.fixed', undefined, { PayloadRemovalDisallowed: true })
    await ask(stage, device, 'InstallProfile', { Payload: fixed })
    await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('ch.example.wifi') })
    expect(device.person.removeProfile('ch.example.fixed')).toBe(false)
    expect(device.person.removeProfile('ch.example.nothing')).toBe(false)
    expect(device.person.removeProfile('ch.example.wifi')).toBe(true)
    expect(device.view().profiles).toHaveLength(2)
    expect(device.person.removeProfile('ch.example.mdm')).toBe(true)
    expect(device.status()).toBe('removed')
    expect(device.view().profiles).toEqual([])
  })
})
