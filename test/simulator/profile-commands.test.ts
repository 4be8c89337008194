import { describe, expect, test } from 'vitest'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import { addTime } from '../../src/kernel/clock.ts'
import { ask, chainOf, mobileconfig, payload, signed, uuidIn } from './configuration-world.ts'
import { useStage } from './enrolled.ts'

const stage = useStage()
const list = async (device: Awaited<ReturnType<typeof stage.enrolled>>, keys = {}) =>
  (await ask(stage, device, 'ProfileList', keys))['ProfileList'] as PlistDict[]

describe('InstallProfile', () => {
  test('keeps a plain and a signed profile, which are listed with the UUID that they came with', async () => {
    const device = await stage.enrolled()
    const plain = mobileconfig('ch.example.wifi')
    const inner = mobileconfig('ch.example.mail')
    expect(await ask(stage, device, 'InstallProfile', { Payload: plain })).toMatchObject({
      Status: 'Acknowledged',
    })
    const cms = await signed(inner, stage.server.ca)
    expect(await ask(stage, device, 'InstallProfile', { Payload: cms })).toMatchObject({
      Status: 'Acknowledged',
    })
    const [enrollment, wifi, mail] = await list(device)
    expect(enrollment).toMatchObject({ PayloadIdentifier: 'ch.example.mdm', IsManaged: false })
    expect(wifi).toMatchObject({
      PayloadIdentifier: 'ch.example.wifi',
      PayloadUUID: uuidIn(plain),
      IsManaged: true,
    })
    expect(wifi).not.toHaveProperty('SignerCertificates')
    expect(mail).toMatchObject({ PayloadUUID: uuidIn(inner), IsManaged: true })
    const [signer] = mail!['SignerCertificates'] as Uint8Array[]
    expect(Buffer.from(signer!)).toEqual(stage.server.ca.certificate.der)
    expect(await list(device, { ManagedOnly: true })).toHaveLength(2)
    expect(device.view().profiles[1]).toMatchObject({
      identifier: 'ch.example.wifi',
      managed: true,
      isSigned: false,
      payloads: [{ PayloadType: 'com.apple.wifi.managed', SSID_STR: 'Office' }],
    })
  })

  test('puts a profile in the place of one with the same identifier', async () => {
    const device = await stage.enrolled()
    await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('ch.example.wifi') })
    const next = mobileconfig('ch.example.wifi', [payload('com.apple.wifi.managed', { SSID_STR: 'Guests' })])
    await ask(stage, device, 'InstallProfile', { Payload: next })
    expect(device.view().profiles.slice(1)).toMatchObject([
      { uuid: uuidIn(next), payloads: [{ SSID_STR: 'Guests' }] },
    ])
  })

  test.each<[string, () => Buffer, string[]]>([
    ['no plist', () => Buffer.from('hello'), ['MCProfileErrorDomain 1000']],
    [
      'another type',
      () => mobileconfig('x', undefined, { PayloadType: 'Profile' }),
      ['MCProfileErrorDomain 1000'],
    ],
    ['version 2', () => mobileconfig('x', undefined, { PayloadVersion: 2 }), ['MCProfileErrorDomain 1001']],
    [
      'no UUID',
      () => mobileconfig('x', undefined, { PayloadUUID: undefined }),
      ['MCProfileErrorDomain 1002'],
    ],
    ['no payload', () => mobileconfig('x', []), ['MCProfileErrorDomain 1005']],
    [
      'it is encrypted',
      () => mobileconfig('x', undefined, { IsEncrypted: true }),
      ['MCProfileErrorDomain 1006'],
    ],
    [
      'a UUID twice',
      () => {
        const one = payload('com.apple.wifi.managed')
        return mobileconfig('x', [one, one])
      },
      ['MCProfileErrorDomain 1007'],
    ],
    [
      'a scope of its own',
      () => mobileconfig('x', undefined, { PayloadScope: 'Room' }),
      ['MCProfileErrorDomain 1010'],
    ],
    [
      'a removal date in the past',
      () => mobileconfig('x', undefined, { RemovalDate: new Date('2001-01-01') }),
      ['MCInstallationErrorDomain 4006'],
    ],
    [
      'no certificate in a certificate payload',
      () => mobileconfig('x', [payload('com.apple.security.root', { PayloadContent: Buffer.from('no') })]),
      ['MCProfileErrorDomain 1009', 'MCCertificateErrorDomain 9005'],
    ],
    [
      'a certificate payload without content',
      () => mobileconfig('x', [payload('com.apple.security.pem')]),
      ['MCProfileErrorDomain 1009', 'MCPayloadErrorDomain 2002'],
    ],
    [
      'a restriction that is a text',
      () => mobileconfig('x', [payload('com.apple.applicationaccess', { allowCamera: 'no' })]),
      ['MCProfileErrorDomain 1009', 'MCPayloadErrorDomain 2003'],
    ],
    [
      'two app locks',
      () => {
        const lock = () => payload('com.apple.app.lock', { App: { Identifier: 'a' } })
        return mobileconfig('x', [lock(), lock()])
      },
      ['MCProfileErrorDomain 1009', 'MCInstallationErrorDomain 4019'],
    ],
    [
      'the identifier of the enrollment profile',
      () => mobileconfig('ch.example.mdm'),
      ['MCInstallationErrorDomain 4015'],
    ],
  ])('is an Error for %s, and changes nothing', async (_, profile, chain) => {
    const device = await stage.enrolled()
    const result = await ask(stage, device, 'InstallProfile', { Payload: profile() })
    expect(result['Status']).toBe('Error')
    expect(chainOf(result)).toEqual(chain)
    expect(device.view().profiles).toHaveLength(1)
  })

  test('is an Error for a profile whose signature is wrong', async () => {
    const device = await stage.enrolled()
    const bytes = await signed(mobileconfig('ch.example.wifi'), stage.server.ca)
    bytes[bytes.indexOf('Office')] = 0x51
    const result = await ask(stage, device, 'InstallProfile', { Payload: bytes })
    expect(chainOf(result)).toEqual(['MCProfileErrorDomain 1004'])
  })
})

test.each([
  ['RemovalDate', (now: Date) => ({ RemovalDate: addTime(now, 1, 'hour') })],
  ['DurationUntilRemoval', () => ({ DurationUntilRemoval: 3_600 })],
])('%s makes a profile go by itself', async (_, top) => {
  const device = await stage.enrolled()
  const Payload = mobileconfig('ch.example.wifi', undefined, top(stage.clock.now()))
  await ask(stage, device, 'InstallProfile', { Payload })
  stage.clock.advance(3_590_000)
  expect(await list(device)).toHaveLength(2)
  stage.clock.advance(10_000)
  expect(await list(device)).toHaveLength(1)
})

test('RemoveProfile takes what MDM brought, and nothing else', async () => {
  const device = await stage.enrolled()
  await ask(stage, device, 'InstallProfile', { Payload: mobileconfig('ch.example.wifi') })
  device.person.installProfile(mobileconfig('ch.example.own'))
  const remove = (identifier: string) => ask(stage, device, 'RemoveProfile', { Identifier: identifier })
  expect(await remove('ch.example.wifi')).toMatchObject({ Status: 'Acknowledged' })
  expect(chainOf(await remove('ch.example.wifi'))).toEqual(['MCMDMErrorDomain 12075'])
  expect(chainOf(await remove('ch.example.own'))).toEqual(['MCMDMErrorDomain 12013'])
  expect(await ask(stage, device, 'RemoveProfile')).toMatchObject({ Status: 'CommandFormatError' })
  expect(device.view().profiles.map(({ identifier }) => identifier)).toEqual([
    'ch.example.mdm',
    'ch.example.own',
  ])
})

test('a Mac keeps profiles of users on their channels, and refuses the wrong scope', async () => {
  const device = await stage.enrolled({ facts: { ...stage.device().facts, platform: 'macos' } })
  const { channel } = await device.signIn({ UserID: 'U1', UserShortName: 'ada', UserLongName: 'Ada' })
  const own = mobileconfig('ch.example.user', undefined, { PayloadScope: 'User' })
  const wide = mobileconfig('ch.example.system')
  expect(chainOf(await ask(stage, device, 'InstallProfile', { Payload: own }))).toEqual([
    'MCProfileErrorDomain 1009',
  ])
  expect(await ask(stage, device, 'InstallProfile', { Payload: own }, channel)).toMatchObject({
    UserID: 'U1',
    Status: 'Acknowledged',
  })
  expect(chainOf(await ask(stage, device, 'InstallProfile', { Payload: wide }, channel))).toEqual([
    'MCProfileErrorDomain 1009',
  ])
  const { ProfileList } = await ask(stage, device, 'ProfileList', {}, channel)
  expect(ProfileList).toMatchObject([{ PayloadIdentifier: 'ch.example.user' }])
  expect(device.view().profiles.at(-1)).toMatchObject({ scope: 'User', user: { UserID: 'U1' } })
})

test('Restrictions are those of the installed payloads, of two the stricter one', async () => {
  const device = await stage.enrolled()
  const restrict = (identifier: string, keys: Record<string, boolean | number>) =>
    ask(stage, device, 'InstallProfile', {
      Payload: mobileconfig(identifier, [payload('com.apple.applicationaccess', keys)]),
    })
  expect(await ask(stage, device, 'Restrictions')).toMatchObject({ GlobalRestrictions: {} })
  await restrict('ch.example.one', {
    allowCamera: false,
    forceITunesStorePasswordEntry: false,
    ratingApps: 300,
  })
  await restrict('ch.example.two', {
    allowCamera: true,
    forceITunesStorePasswordEntry: true,
    ratingApps: 200,
  })
  const result = await ask(stage, device, 'Restrictions', { ProfileRestrictions: true })
  expect(result['GlobalRestrictions']).toEqual({
    restrictedBool: { allowCamera: { value: false }, forceITunesStorePasswordEntry: { value: true } },
    restrictedValue: { ratingApps: { value: 200 } },
  })
  expect(Object.keys(result['ProfileRestrictions'] as PlistDict)).toEqual([
    'ch.example.one',
    'ch.example.two',
  ])
})

test('CertificateList has the identity and the certificates of installed payloads', async () => {
  const device = await stage.enrolled()
  const { der } = stage.server.ca.certificate
  const root = mobileconfig('ch.example.root', [payload('com.apple.security.root', { PayloadContent: der })])
  await ask(stage, device, 'InstallProfile', { Payload: root })
  const all = (await ask(stage, device, 'CertificateList'))['CertificateList'] as PlistDict[]
  expect(all.map(({ IsIdentity }) => IsIdentity)).toEqual([true, false])
  expect(Buffer.from(all[1]?.['Data'] as Uint8Array)).toEqual(der)
})
