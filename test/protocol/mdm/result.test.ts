import { describe, expect, test } from 'vitest'
import { extractInventory, parseResult } from '../../../src/protocol/mdm/index.ts'
import type { WritablePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { message, UDID } from './fixtures.ts'

const IDENTITY = { id: UDID, type: 'device', deviceId: UDID, udid: UDID }

test('Idle has nothing but an identity', () => {
  expect(parseResult(message({ Status: 'Idle', CommandUUID: '\t' }))).toEqual({
    status: 'Idle',
    identity: IDENTITY,
    raw: { UDID, Status: 'Idle', CommandUUID: '\t' },
  })
})

test('an error keeps its chain with Apple’s names', () => {
  const chain = [
    {
      ErrorCode: 12013,
      ErrorDomain: 'MCMDMErrorDomain',
      LocalizedDescription: 'Das Profil wird nicht verwaltet.',
      USEnglishDescription: 'The profile is not managed.',
    },
    { ErrorCode: 4001, ErrorDomain: 'MCInstallationErrorDomain', LocalizedDescription: 7, Extra: true },
  ]
  const keys = {
    Status: 'Error',
    CommandUUID: 'A',
    RequestType: 'RemoveProfile',
    ErrorChain: [...chain, 'x'],
  }
  expect(parseResult(message(keys))).toMatchObject({
    status: 'Error',
    commandUuid: 'A',
    requestType: 'RemoveProfile',
    errorChain: [chain[0], { ErrorCode: 4001, ErrorDomain: 'MCInstallationErrorDomain' }],
  })
  const long = parseResult(
    message({ ...keys, ErrorChain: Array.from({ length: 40 }, () => ({ ErrorCode: 1 })) }),
  )
  expect(long.errorChain).toHaveLength(32)
  expect(parseResult(message({ ...keys, ErrorChain: 'none' })).errorChain).toBeUndefined()
})

test('an item of Settings that has failed makes an Error of the acknowledgement', () => {
  const chain = [{ ErrorCode: 12029, ErrorDomain: 'MCMDMErrorDomain' }]
  const read = (Settings: WritablePlist) =>
    parseResult(message({ Status: 'Acknowledged', CommandUUID: 'A', Settings }))
  const good = { Item: 'DeviceName', Status: 'Acknowledged' }
  const bad = { Item: 'ApplicationConfiguration', Status: 'Error', ErrorChain: chain }
  expect(read([good, good])).toMatchObject({ status: 'Acknowledged' })
  expect(read([good, good]).errorChain).toBeUndefined()
  expect(read([good, bad])).toMatchObject({ status: 'Error', errorChain: chain })
  expect(read(bad)).toMatchObject({ status: 'Error', errorChain: chain })
  expect(read([{ Item: 'DeviceName', Status: 'Error' }, bad])).toMatchObject({
    status: 'Error',
    errorChain: [
      { USEnglishDescription: 'The setting "DeviceName" was answered with Error.' },
      { ErrorCode: 12029 },
    ],
  })
  const many = Array.from({ length: 100 }, () => bad)
  expect(read(many).errorChain).toHaveLength(32)
  for (const odd of [{}, [], 'none', 7, [7, 'x'], [{ Status: 5 }], [{ Item: 'DeviceName' }]])
    expect(read(odd as WritablePlist)).toMatchObject({ status: 'Acknowledged' })
})

test('a code that no number holds is a text', () => {
  const chain = [{ ErrorCode: 2n ** 63n }]
  const { errorChain } = parseResult(message({ Status: 'Error', CommandUUID: 'A', ErrorChain: chain }))
  expect(errorChain).toEqual([{ ErrorCode: '9223372036854775808' }])
})

test.each<[unknown, unknown]>([
  [{ ErrorCode: '12013', ErrorDomain: 'D' }, [{ ErrorCode: 12013, ErrorDomain: 'D' }]],
  [[{ ErrorCode: ' -7 ' }], [{ ErrorCode: -7 }]],
  [
    [{ ErrorCode: 'E_FAIL' }, {}],
    [{ ErrorCode: 'E_FAIL' }, {}],
  ],
  [[{ ErrorCode: true, LocalizedDescription: ['x'] }, [{ ErrorCode: 1 }]], [{}]],
  [{}, [{}]],
  [5, undefined],
])('an ErrorChain of another form, %j, is read as far as it goes', (ErrorChain, chain) => {
  const keys = { Status: 'Error', CommandUUID: 'A', ErrorChain: ErrorChain as WritablePlist }
  expect(parseResult(message(keys)).errorChain).toEqual(chain)
})

test.each<[WritablePlist | undefined, string]>([
  ['Fine', 'Unknown Status "Fine"'],
  ['acknowledged', 'Unknown Status "acknowledged"'],
  ['x'.repeat(70_000), `Unknown Status "${'x'.repeat(64)}"`],
  [5, 'Unknown Status of no text'],
  [['Acknowledged'], 'Unknown Status of no text'],
  [undefined, 'Unknown Status of no text'],
])('the Status %j of an answer is an error that says so', (Status, USEnglishDescription) => {
  const ours = { ErrorDomain: 'Firstboot', USEnglishDescription }
  const keys = { CommandUUID: 'A', Status }
  expect(parseResult(message(keys))).toMatchObject({ status: 'Error', commandUuid: 'A', errorChain: [ours] })
  const told = parseResult(message({ ...keys, ErrorChain: [{ ErrorCode: 1 }] }))
  expect(told.errorChain).toEqual([ours, { ErrorCode: 1 }])
})

describe('a result of which not all can be read', () => {
  const damaged = (keys: Record<string, WritablePlist | undefined>, from: string, to: string | Buffer) => {
    const [before = '', after = ''] = message(keys).toString().split(from)
    return Buffer.concat([Buffer.from(before), Buffer.from(to), Buffer.from(after)])
  }
  const answers = { QueryResponses: { DeviceName: 'aQQb', OSVersion: '18.1', Until: 'DATE' } }
  const keys = { Status: 'Acknowledged', CommandUUID: 'A', ...answers }

  test.each<[string, Buffer, string]>([
    [
      'a date out of range',
      damaged(keys, '<string>DATE</string>', '<date>10000-01-01T00:00:00Z</date>'),
      'not a date',
    ],
    ['a stray byte', damaged(keys, 'QQ', Buffer.of(0xff)), 'not valid UTF-8'],
    ['a control character by its number', damaged(keys, 'QQ', '&#0;'), 'unknown entity reference'],
  ])('%s: the rest counts', (_, body, problem) => {
    const result = parseResult(body)
    expect(result).toMatchObject({ status: 'Acknowledged', commandUuid: 'A', identity: IDENTITY })
    expect(result.unreadable).toContain(problem)
    expect(extractInventory(result.raw)?.facts).toMatchObject({ osVersion: '18.1' })
  })

  test('a list that is too long is no inventory, for it would be taken for the whole', () => {
    const list = { InstalledApplicationList: 'LIST' }
    const long = `<array>${'<dict/>'.repeat(500_001)}</array>`
    const result = parseResult(damaged({ ...keys, ...list }, '<string>LIST</string>', long))
    expect(result).toMatchObject({ status: 'Acknowledged', commandUuid: 'A' })
    expect(extractInventory({ ...result.raw, QueryResponses: null })).toBeUndefined()
  })

  test.each<[string, Record<string, WritablePlist | undefined>, string, string | Buffer]>([
    ['no CommandUUID', { Status: 'Error', CommandUUID: 'AQQ' }, 'QQ', Buffer.of(0xff)],
    ['no identity', { Status: 'Error', CommandUUID: 'A', UDID: 'BQQ' }, 'QQ', Buffer.of(0xff)],
    ['a user who may be another', { ...keys, UserID: '?' }, '<string>?</string>', '<date/>'],
    ['nothing to answer', { Status: 'Idle', Odd: '?' }, '<string>?</string>', '<date/>'],
  ])('%s is to be read: refused', (_, given, from, to) => {
    expect(refusal(() => parseResult(damaged(given, from, to)))?.code).toBe('plist_invalid')
  })
})

test.each<[Record<string, WritablePlist | undefined>, string]>([
  [{}, 'Unknown Status of no text'],
  [{ Status: 'Fine' }, 'Unknown Status "Fine"'],
  [{ Status: 'NotNow' }, 'CommandUUID is missing'],
  [{ Status: 'Acknowledged', CommandUUID: 5 }, 'CommandUUID is not a string'],
  [{ Status: 'Acknowledged', CommandUUID: 'A\ufffd' }, 'CommandUUID holds what is no character'],
  [{ Status: 'Acknowledged', CommandUUID: 'x'.repeat(257) }, 'CommandUUID is longer than 256 characters'],
  [{ Status: 'Error', CommandUUID: 'A', EnrollmentID: 'E' }, 'Both UDID and EnrollmentID are present'],
])('%j is refused', (keys, reason) => {
  expect(refusal(() => parseResult(message(keys)))).toMatchObject({
    code: 'message_invalid',
    message: reason,
  })
})

describe('inventory', () => {
  const extract = (keys: Record<string, WritablePlist>) =>
    extractInventory(parseResult(message({ Status: 'Acknowledged', CommandUUID: 'A', ...keys })).raw)

  test('DeviceInformation and the facts in it', () => {
    const answers = {
      DeviceName: 'Ann’s iPhone',
      OSVersion: '18.1',
      BuildVersion: '22B83',
      ProductName: 'iPhone14,5',
      ModelName: 'iPhone',
      SerialNumber: 'F2LXXXXXXXXX',
      WiFiMAC: '00:11:22:33:44:55',
      IsSupervised: true,
      BatteryLevel: 0.5,
      LastCloudBackupDate: new Date('2026-01-02T03:04:05Z'),
      PushToken: Buffer.from([1, 2]),
      ServiceSubscriptions: [{ Slot: 'CTSubscriptionSlotOne' }, { IMEI: '35 123456 789012 3', MEID: '3512' }],
    }
    expect(extract({ QueryResponses: answers })).toEqual({
      kind: 'device_information',
      data: {
        ...answers,
        LastCloudBackupDate: { $date: '2026-01-02T03:04:05Z' },
        PushToken: { $data: 'AQI=' },
      },
      facts: {
        deviceName: 'Ann’s iPhone',
        osVersion: '18.1',
        buildVersion: '22B83',
        productName: 'iPhone14,5',
        modelName: 'iPhone',
        serialNumber: 'F2LXXXXXXXXX',
        wifiMac: '00:11:22:33:44:55',
        isSupervised: true,
        imei: '35 123456 789012 3',
        meid: '3512',
      },
    })
    expect(extract({ QueryResponses: { IMEI: 'top', IsSupervised: 'yes', OSVersion: 18 } })?.facts).toEqual({
      imei: 'top',
    })
  })

  test.each<[string, Record<string, WritablePlist>, unknown]>([
    ['security_info', { SecurityInfo: { PasscodePresent: true } }, { PasscodePresent: true }],
    ['installed_applications', { InstalledApplicationList: [{ Identifier: 'a' }] }, [{ Identifier: 'a' }]],
    ['profiles', { ProfileList: [{ PayloadIdentifier: 'p' }] }, [{ PayloadIdentifier: 'p' }]],
    [
      'certificates',
      { CertificateList: [{ CommonName: 'c', IsIdentity: true, Data: Buffer.from([0x30]) }] },
      [{ CommonName: 'c', IsIdentity: true, Data: { $data: 'MA==' } }],
    ],
  ])('%s', (kind, keys, data) => {
    expect(extract(keys)).toEqual({ kind, data })
  })

  test('none', () => {
    expect(extract({})).toBeUndefined()
    expect(extract({ QueryResponses: 'x', ProfileList: 'x' })).toBeUndefined()
  })

  test('one dictionary where an array with that one belongs', () => {
    expect(extract({ QueryResponses: 'x', ProfileList: { PayloadIdentifier: 'p' } })).toEqual({
      ...{ kind: 'profiles', data: [{ PayloadIdentifier: 'p' }] },
    })
  })
})
