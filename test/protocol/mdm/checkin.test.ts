import { describe, expect, test } from 'vitest'
import { isCheckinBody, looksLikeCheckin, parseCheckin } from '../../../src/protocol/mdm/index.ts'
import type { WritablePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { message, TOPIC, UDID } from './fixtures.ts'

const DEVICE = { id: UDID, type: 'device', deviceId: UDID, udid: UDID }
const TOKEN = Buffer.from('q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=', 'base64')

/** Without the raw dictionary. */
function read(keys: Record<string, WritablePlist | undefined>) {
  const { raw: _, ...rest } = parseCheckin(message(keys))
  return rest
}

describe('the messages', () => {
  test('Authenticate', () => {
    const whole = {
      DeviceName: 'Ann’s iPhone',
      Model: 'MLPF3',
      ModelName: 'iPhone',
      OSVersion: '18.1',
      BuildVersion: '22B83',
      ProductName: 'iPhone14,5',
      SerialNumber: 'F2LXXXXXXXXX',
      IMEI: '35 123456 789012 3',
      MEID: '35123456789012',
    }
    expect(read({ MessageType: 'Authenticate', Topic: TOPIC, ...whole })).toEqual({
      messageType: 'Authenticate',
      identity: DEVICE,
      topic: TOPIC,
      deviceName: 'Ann’s iPhone',
      model: 'MLPF3',
      modelName: 'iPhone',
      osVersion: '18.1',
      buildVersion: '22B83',
      productName: 'iPhone14,5',
      serialNumber: 'F2LXXXXXXXXX',
      imei: '35 123456 789012 3',
      meid: '35123456789012',
    })
    expect(read({ MessageType: 'Authenticate', Topic: TOPIC, OSVersion: 18, IMEI: '' })).toEqual({
      messageType: 'Authenticate',
      identity: DEVICE,
      topic: TOPIC,
    })
  })

  test('TokenUpdate', () => {
    const keys = { MessageType: 'TokenUpdate', Topic: TOPIC, Token: TOKEN, PushMagic: '6E0C2C4C' }
    const least = {
      messageType: 'TokenUpdate',
      identity: DEVICE,
      topic: TOPIC,
      token: TOKEN,
      pushMagic: '6E0C2C4C',
    }
    expect(read(keys)).toEqual(least)
    expect(read({ ...keys, UnlockToken: Buffer.alloc(0), AwaitingConfiguration: 'yes' })).toEqual(least)
    expect(
      read({ ...keys, UnlockToken: Buffer.from([1]), AwaitingConfiguration: true, NotOnConsole: false }),
    ).toEqual({ ...least, unlockToken: Buffer.from([1]), awaitingConfiguration: true, notOnConsole: false })
  })

  test.each<[Record<string, WritablePlist | undefined>, object]>([
    [{ MessageType: 'CheckOut', Topic: TOPIC }, { topic: TOPIC }],
    [{ MessageType: 'CheckOut' }, {}],
    [{ MessageType: 'SetBootstrapToken', BootstrapToken: TOKEN }, { bootstrapToken: TOKEN }],
    [{ MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.alloc(0) }, {}],
    [{ MessageType: 'GetBootstrapToken', AwaitingConfiguration: false }, { awaitingConfiguration: false }],
    [
      { MessageType: 'GetToken', TokenServiceType: 'com.apple.maid' },
      { tokenServiceType: 'com.apple.maid', tokenParameters: {} },
    ],
    [
      {
        MessageType: 'GetToken',
        TokenServiceType: 'com.apple.watch.pairing',
        TokenParameters: { SecurityToken: 's'.repeat(1000), PhoneUDID: 'p', WatchUDID: 'w', More: 1 },
      },
      {
        tokenServiceType: 'com.apple.watch.pairing',
        tokenParameters: { securityToken: 's'.repeat(1000), phoneUdid: 'p', watchUdid: 'w' },
      },
    ],
    [{ MessageType: 'DeclarativeManagement', Endpoint: 'tokens' }, { endpoint: 'tokens' }],
    [
      { MessageType: 'DeclarativeManagement', Endpoint: 'status', Data: Buffer.from('{}') },
      { endpoint: 'status', data: Buffer.from('{}') },
    ],
    [{ MessageType: 'ReturnToService' }, {}],
  ])('%j', (keys, expected) => {
    expect(read(keys)).toEqual({ messageType: keys['MessageType'], identity: DEVICE, ...expected })
  })

  test('UserAuthenticate, whose second message has a digest that may be empty', () => {
    const keys = { MessageType: 'UserAuthenticate', UserID: 'U-1' }
    expect(read(keys)).not.toHaveProperty('digestResponse')
    expect(read({ ...keys, DigestResponse: '' })).toMatchObject({ digestResponse: '' })
  })

  test('unknown keys are kept', () => {
    const { raw } = parseCheckin(message({ MessageType: 'CheckOut', Later: { A: 1 } }))
    expect(raw).toMatchObject({ MessageType: 'CheckOut', UDID, Later: { A: 1 } })
  })

  test('texts for the database hold no U+0000', () => {
    const xml = message({ MessageType: 'Authenticate', Topic: TOPIC, DeviceName: 'a?b' }).toString()
    expect(parseCheckin(Buffer.from(xml.replace('a?b', 'a\u0000b')))).toMatchObject({
      deviceName: 'a\ufffdb',
    })
  })
})

test.each<[Record<string, WritablePlist | undefined>, string]>([
  [{ Topic: TOPIC }, 'MessageType is missing'],
  [{ MessageType: 'Hello' }, 'Unknown MessageType "Hello"'],
  [{ MessageType: 'constructor' }, 'Unknown MessageType "constructor"'],
  [{ MessageType: 'Authenticate' }, 'Topic is missing'],
  [{ MessageType: 'Authenticate', Topic: TOPIC, UserID: 'U-1' }, 'Authenticate came from a user channel'],
  [{ MessageType: 'TokenUpdate', Topic: TOPIC, PushMagic: 'm' }, 'Token is missing or not data'],
  [
    { MessageType: 'TokenUpdate', Topic: TOPIC, PushMagic: 'm', Token: 'AAEC' },
    'Token is missing or not data',
  ],
  [{ MessageType: 'TokenUpdate', Topic: TOPIC, Token: TOKEN }, 'PushMagic is missing'],
  [
    { MessageType: 'TokenUpdate', Topic: TOPIC, Token: TOKEN, PushMagic: 'a\tb' },
    'PushMagic holds a control character',
  ],
  [{ MessageType: 'TokenUpdate', Topic: '', Token: TOKEN, PushMagic: 'm' }, 'Topic is empty'],
  [{ MessageType: 'UserAuthenticate' }, 'UserAuthenticate needs UDID and UserID'],
  [{ MessageType: 'SetBootstrapToken', UserID: 'U-1' }, 'SetBootstrapToken came from a user channel'],
  [{ MessageType: 'GetBootstrapToken', UserID: 'U-1' }, 'GetBootstrapToken came from a user channel'],
  [{ MessageType: 'ReturnToService', UserID: 'U-1' }, 'ReturnToService came from a user channel'],
  [{ MessageType: 'GetToken' }, 'TokenServiceType is missing'],
  [{ MessageType: 'DeclarativeManagement', Endpoint: 1 }, 'Endpoint is not a string'],
  [{ MessageType: 'CheckOut', UDID: undefined }, 'Neither UDID nor EnrollmentID is present'],
])('%j is refused', (keys, reason) => {
  expect(refusal(() => parseCheckin(message(keys)))).toMatchObject({
    code: 'message_invalid',
    message: reason,
  })
})

describe('of what cannot be read', () => {
  const odd = (keys: Record<string, WritablePlist | undefined>, to = '<date>never</date>') =>
    Buffer.from(message(keys).toString().replace('<string>ODD</string>', to))
  const token = { MessageType: 'TokenUpdate', Topic: TOPIC, Token: TOKEN, PushMagic: 'm' }

  test('what is optional counts as absent', () => {
    const authenticate = { MessageType: 'Authenticate', Topic: TOPIC, Model: 'MQ', Later: 'ODD' }
    expect(parseCheckin(odd(authenticate))).toMatchObject({ topic: TOPIC, model: 'MQ' })
    expect(parseCheckin(odd({ ...authenticate, Model: 'ODD' }))).not.toHaveProperty('model')
    expect(parseCheckin(odd({ ...token, UnlockToken: 'ODD' }))).not.toHaveProperty('unlockToken')
    const long = parseCheckin(message({ ...token, UnlockToken: Buffer.alloc(65_537) }))
    expect(long).not.toHaveProperty('unlockToken')
    expect(isCheckinBody(odd(authenticate))).toBe(true)
  })

  test.each<[Record<string, WritablePlist | undefined>]>([
    [{ ...token, Token: 'ODD' }],
    [{ ...token, PushMagic: 'ODD' }],
    [{ ...token, Topic: 'ODD' }],
    // Taken for a message of the device, it would put the token of a user in the place of the device's.
    [{ ...token, UserID: 'ODD' }],
    [{ ...token, UDID: 'ODD' }],
    [{ MessageType: 'ODD' }],
    [{ MessageType: 'SetBootstrapToken', BootstrapToken: 'ODD' }],
  ])('%j decides', (keys) => {
    expect(refusal(() => parseCheckin(odd(keys)))?.code).toBe('plist_invalid')
  })

  test('a bootstrap token is data, or not there', () => {
    const set = { MessageType: 'SetBootstrapToken' }
    expect(refusal(() => parseCheckin(message({ ...set, BootstrapToken: 'AAEC' })))?.message).toBe(
      'BootstrapToken is not data',
    )
    const long = message({ ...set, BootstrapToken: Buffer.alloc(65_537) })
    expect(refusal(() => parseCheckin(long))?.message).toBe('BootstrapToken is longer than 65536 bytes')
  })
})

test('what is no dictionary, or no property list', () => {
  const list = Buffer.from('<plist><array/></plist>')
  expect(refusal(() => parseCheckin(list))?.message).toBe('The message is not a dictionary')
  expect(refusal(() => parseCheckin(Buffer.from('{}')))?.code).toBe('plist_invalid')
})

test('which endpoint a message is for', () => {
  expect(looksLikeCheckin('application/x-apple-aspen-mdm-checkin')).toBe(true)
  expect(looksLikeCheckin(' Application/X-Apple-Aspen-MDM-Checkin; charset=UTF-8')).toBe(true)
  expect(looksLikeCheckin('application/x-apple-aspen-mdm; charset=UTF-8')).toBe(false)
  expect(looksLikeCheckin('text/xml')).toBe(false)
  expect(looksLikeCheckin(undefined)).toBe(false)
  expect(isCheckinBody(message({ MessageType: 'CheckOut' }))).toBe(true)
  expect(isCheckinBody(message({ Status: 'Idle' }))).toBe(false)
  expect(isCheckinBody(message({ MessageType: 'CheckOut', Padding: Buffer.alloc(256 * 1024) }))).toBe(false)
  expect(isCheckinBody(Buffer.from('x'))).toBe(false)
})
