import { describe, expect, test } from 'vitest'
import { buildApnsRequest, readApnsAnswer } from '../../../src/protocol/apns/index.ts'
import { refusal } from '../../support/refusal.ts'

const push = {
  token: Buffer.from('ABCDEF0123', 'hex'),
  pushMagic: '6E0C2C4C-2B1D-4E15-9C8E-5C9E1B6B1A22',
  topic: 'com.apple.mgmt.External.11111111-2222-3333-4444-555555555555',
  expiresAt: new Date('2026-11-30T12:00:00.900Z'),
}

describe('the request', () => {
  test('is what Apple documents, with the token in lower-case hex', () => {
    const { headers, body } = buildApnsRequest(push)
    expect(headers).toEqual({
      ':method': 'POST',
      ':path': '/3/device/abcdef0123',
      'apns-topic': push.topic,
      'apns-push-type': 'mdm',
      'apns-priority': '10',
      'apns-expiration': '1796040000',
      'content-type': 'application/json',
    })
    expect(body.toString()).toBe('{"mdm":"6E0C2C4C-2B1D-4E15-9C8E-5C9E1B6B1A22"}')
  })

  test('escapes a magic that is not plain', () => {
    const { body } = buildApnsRequest({ ...push, pushMagic: '"},{"aps":"\u0000é' })
    expect(JSON.parse(body.toString())).toEqual({ mdm: '"},{"aps":"\u0000é' })
  })

  test('cannot be made of push data that no device sends, and does not tell it', () => {
    const tooLong = refusal(() => buildApnsRequest({ ...push, pushMagic: 'm'.repeat(4096) }))
    expect(tooLong).toMatchObject({ code: 'internal', message: 'The push magic is too long.' })
    const empty = refusal(() => buildApnsRequest({ ...push, token: Buffer.alloc(0) }))
    expect(empty).toMatchObject({ code: 'internal', message: 'The push token is empty.' })
  })
})

describe('the answer', () => {
  test.each([
    [400, 'BadDeviceToken', { action: 'token_bad' }],
    [400, 'DeviceTokenNotForTopic', { action: 'token_bad' }],
    [400, 'BadTopic', { action: 'config_error' }],
    [400, 'TopicDisallowed', { action: 'config_error' }],
    [400, 'IdleTimeout', { action: 'retry', afterMs: 1_000 }],
    [400, 'BadPriority', { action: 'bug' }],
    [403, 'BadCertificate', { action: 'config_error' }],
    [403, 'SomethingNew', { action: 'config_error' }],
    [404, 'BadPath', { action: 'bug' }],
    [413, 'PayloadTooLarge', { action: 'bug' }],
    [429, 'TooManyRequests', { action: 'retry', afterMs: 300_000 }],
    [500, 'InternalServerError', { action: 'retry', afterMs: 60_000 }],
    [503, 'Shutdown', { action: 'retry', afterMs: 1_000 }],
    [503, 'SomethingNew', { action: 'retry', afterMs: 60_000 }],
  ])('%i %s', (status, reason, meaning) => {
    expect(readApnsAnswer(status, undefined, JSON.stringify({ reason }))).toEqual({ reason, ...meaning })
  })

  test('200 carries the id', () => {
    expect(readApnsAnswer(200, 'AN-ID', '')).toEqual({ action: 'accepted', apnsId: 'AN-ID' })
  })

  test('410 carries since when', () => {
    const body = JSON.stringify({ reason: 'Unregistered', timestamp: 1795300000000 })
    const since = new Date(1795300000000)
    expect(readApnsAnswer(410, undefined, body)).toEqual({ action: 'gone', reason: 'Unregistered', since })
  })

  test.each(['', 'no json', '[]', 'null', '{"reason":7,"timestamp":"x"}', '{"reason":"two words"}'])(
    'with the body %j counts by its status',
    (body) => {
      expect(readApnsAnswer(410, undefined, body)).toEqual({
        action: 'gone',
        reason: 'Status410',
        since: null,
      })
      expect(readApnsAnswer(502, undefined, body)).toMatchObject({ action: 'retry', reason: 'Status502' })
      expect(readApnsAnswer(418, undefined, body)).toEqual({ action: 'bug', reason: 'Status418' })
    },
  )
})
