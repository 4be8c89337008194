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

test.each<[Record<string, WritablePlist | undefined>, string]>([
  [{}, 'Unknown Status of no text'],
  [{ Status: 'Fine' }, 'Unknown Status "Fine"'],
  [{ Status: 'NotNow' }, 'CommandUUID is missing'],
  [{ Status: 'Acknowledged', CommandUUID: 5 }, 'CommandUUID is not a string'],
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
    expect(extract({ QueryResponses: 'x', ProfileList: {} })).toBeUndefined()
  })
})
