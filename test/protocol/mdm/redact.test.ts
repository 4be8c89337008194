import { expect, test } from 'vitest'
import { redactCommand } from '../../../src/protocol/mdm/index.ts'
import { writePlist, type WritablePlist } from '../../../src/protocol/plist/index.ts'

const command = (RequestType: string, keys: Record<string, WritablePlist>) =>
  Buffer.from(writePlist({ CommandUUID: 'A', Command: { RequestType, ...keys } }))
const wifi = (Password: string) =>
  Buffer.from(
    writePlist({ PayloadContent: [{ SSID_STR: 'office', Password, Certificate: Buffer.of(0x30, 0) }] }),
  )
const profileOf = (payload: Record<string, WritablePlist>) =>
  Buffer.from(writePlist({ PayloadContent: [payload] }))
const HIDDEN = '********'
const STARS = Buffer.from(HIDDEN)

test.each<[string, Record<string, WritablePlist>, Record<string, WritablePlist>]>([
  ['DeviceLock', { PIN: '123456', Message: 'm' }, { PIN: HIDDEN, Message: 'm' }],
  ['EraseDevice', { PIN: '123456' }, { PIN: HIDDEN }],
  ['ClearPasscode', { UnlockToken: Buffer.from('token') }, { UnlockToken: STARS }],
  [
    'SetRecoveryLock',
    { NewPassword: 'a', CurrentPassword: 'b' },
    { NewPassword: HIDDEN, CurrentPassword: HIDDEN },
  ],
  [
    'AccountConfiguration',
    { AutoSetupAdminAccounts: [{ shortName: 'a', passwordHash: Buffer.from('hash') }] },
    { AutoSetupAdminAccounts: [{ shortName: 'a', passwordHash: STARS }] },
  ],
  ['RotateFileVaultKey', { FileVaultUnlock: { Password: 'p' } }, { FileVaultUnlock: { Password: HIDDEN } }],
  ['InstallProfile', { Payload: wifi('secret') }, { Payload: wifi(HIDDEN) }],
  ['InstallProfile', { Payload: Buffer.of(0x30, 0x03, 0x02, 0x01, 0x00) }, { Payload: STARS }],
  ['InstallProfile', { Payload: Buffer.from('no plist') }, { Payload: STARS }],
  [
    'InstallProfile',
    {
      Payload: profileOf({
        PayloadType: 'com.apple.security.scep',
        PayloadContent: { Challenge: 'c', Keysize: 1 },
      }),
    },
    {
      Payload: profileOf({
        PayloadType: 'com.apple.security.scep',
        PayloadContent: { Challenge: HIDDEN, Keysize: 1 },
      }),
    },
  ],
  [
    'InstallProfile',
    { Payload: profileOf({ PayloadType: 'com.apple.security.pkcs12', PayloadContent: Buffer.of(0x30, 9) }) },
    { Payload: profileOf({ PayloadType: 'com.apple.security.pkcs12', PayloadContent: STARS }) },
  ],
  ['Odd', { Passwords: ['a', 'b'] }, { Passwords: [HIDDEN, HIDDEN] }],
])('what is secret in %s is not shown', (type, given, shown) => {
  expect(redactCommand(command(type, given)).toString()).toBe(command(type, shown).toString())
})

test('a command without a secret is shown as it was given', () => {
  for (const keys of [
    { Queries: ['PasscodePresent'] },
    { Payload: profileOf({ PayloadType: 'com.apple.security.root', PayloadContent: Buffer.of(0x30, 9) }) },
    { Flag: true },
  ]) {
    const given = Buffer.concat([command('DeviceInformation', keys), Buffer.from('\n\n')])
    expect(redactCommand(given)).toBe(given)
  }
})

test('a command that cannot be written without its secret is not shown', () => {
  const given = command('DeviceLock', { PIN: '123456', Message: 'a?b' }).toString().replace('a?b', 'a\u0001b')
  expect(redactCommand(Buffer.from(given)).toString()).toBe(HIDDEN)
})
