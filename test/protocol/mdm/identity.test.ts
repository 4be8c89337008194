import { describe, expect, test } from 'vitest'
import { parseResult } from '../../../src/protocol/mdm/index.ts'
import type { WritablePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { message, SHARED_USER, UDID } from './fixtures.ts'

const identify = (keys: Record<string, WritablePlist | undefined>) =>
  parseResult(message({ Status: 'Idle', ...keys })).identity

describe('the channels', () => {
  const enrollmentId = { UDID: undefined, EnrollmentID: 'E-1' }
  test.each<[string, Record<string, WritablePlist | undefined>, object]>([
    ['a device', {}, { id: UDID, type: 'device', deviceId: UDID, udid: UDID }],
    [
      'a user of a Mac',
      { UserID: 'U-1', UserShortName: 'ann', UserLongName: 'Ann Smith' },
      {
        id: `${UDID}:U-1`,
        type: 'user',
        deviceId: UDID,
        udid: UDID,
        userId: 'U-1',
        userShortName: 'ann',
        userLongName: 'Ann Smith',
      },
    ],
    [
      'a user of a Shared iPad',
      { UserID: SHARED_USER, UserShortName: 'ann@example.com' },
      {
        id: `${UDID}:ann@example.com`,
        type: 'shared_ipad_user',
        deviceId: UDID,
        udid: UDID,
        userId: SHARED_USER,
        userShortName: 'ann@example.com',
      },
    ],
    [
      'a user-enrolled device',
      enrollmentId,
      { id: 'E-1', type: 'user_enrollment_device', deviceId: 'E-1', enrollmentId: 'E-1' },
    ],
    [
      'a user of a user-enrolled Mac',
      { ...enrollmentId, EnrollmentUserID: 'EU-1' },
      {
        id: 'E-1:EU-1',
        type: 'user_enrollment_user',
        deviceId: 'E-1',
        enrollmentId: 'E-1',
        userId: 'EU-1',
      },
    ],
    [
      'a name of another type is no reason to refuse',
      { UserID: 'U-1', UserShortName: 5 },
      { id: `${UDID}:U-1`, type: 'user', deviceId: UDID, udid: UDID, userId: 'U-1' },
    ],
    [
      'a long name is cut',
      { UserID: 'U-1', UserLongName: 'n'.repeat(300) },
      {
        id: `${UDID}:U-1`,
        type: 'user',
        deviceId: UDID,
        udid: UDID,
        userId: 'U-1',
        userLongName: 'n'.repeat(256),
      },
    ],
  ])('%s', (_, keys, expected) => {
    expect(identify(keys)).toEqual(expected)
  })
})

test.each<[Record<string, WritablePlist | undefined>, string]>([
  [{ UDID: undefined }, 'Neither UDID nor EnrollmentID is present'],
  [{ EnrollmentID: 'E-1' }, 'Both UDID and EnrollmentID are present'],
  [{ UDID: '' }, 'UDID is empty'],
  [{ UDID: 12 }, 'UDID is not a string'],
  [{ UDID: 'x'.repeat(257) }, 'UDID is longer than 256 characters'],
  [{ UDID: 'a\nb' }, 'UDID holds a control character'],
  [{ UDID: 'VICTIM:U-1' }, 'UDID holds a colon'],
  [{ UDID: undefined, EnrollmentID: 'E:1' }, 'EnrollmentID holds a colon'],
  [{ UDID: 'VICTIM,x' }, 'UDID holds a comma'],
  [{ UserID: 'x,VICTIM' }, 'UserID holds a comma'],
  [{ UserID: SHARED_USER, UserShortName: 'x,VICTIM' }, 'UserShortName holds a comma'],
  [{ UDID: ' VICTIM' }, 'UDID holds what is not plain ASCII'],
  [{ UDID: 'VICTIM\u200b' }, 'UDID holds what is not plain ASCII'],
  // The Kelvin sign is a k in lower case.
  [{ UDID: '\u212a' }, 'UDID holds what is not plain ASCII'],
  [{ UDID: undefined, EnrollmentID: 'Ｅ' }, 'EnrollmentID holds what is not plain ASCII'],
  [{ UDID: undefined, EnrollmentID: 'E', EnrollmentUserID: '' }, 'EnrollmentUserID is empty'],
  [{ UserID: '' }, 'UserID is empty'],
  [{ UserID: true }, 'UserID is not a string'],
  [{ UserID: SHARED_USER }, 'UserShortName is missing for the user of a Shared iPad'],
  [{ UserID: SHARED_USER.toLowerCase(), UserShortName: '' }, 'UserShortName is empty'],
])('%j is refused', (keys, reason) => {
  expect(refusal(() => identify(keys))).toMatchObject({ code: 'message_invalid', message: reason })
})

test('U+0000 never gets into an id', () => {
  const bytes = Buffer.from(message({ Status: 'Idle', UDID: 'a?b' }).toString().replace('a?b', 'a\u0000b'))
  expect(refusal(() => parseResult(bytes))?.message).toBe('UDID holds a control character')
})
