import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AdeClient } from '../../../src/protocol/ade/index.ts'
import { adeFailure, PAGE, scriptedApple } from '../../support/scripted-apple.ts'
import type { ScriptedApple } from '../../support/scripted-apple.ts'

let apple: ScriptedApple
let client: AdeClient

beforeAll(async () => {
  apple = await scriptedApple()
})

afterAll(() => apple.close())

beforeEach(() => {
  apple.reset()
  client = apple.client()
})

const lines = () => apple.asked.map(({ line }) => line)

describe('answers', () => {
  test('a PAGE, its times and its words', async () => {
    const device = {
      serial_number: 'F2LX1234ABCD',
      model: 'IPHONE 15',
      color: null,
      asset_tag: '',
      device_family: 'iPhone',
      os: 'iOS',
      profile_status: 'assigned',
      profile_uuid: '0123456789ABCDEF0123456789ABCDEF',
      profile_assign_time: '2026-11-20T08:00:00Z',
      device_assigned_date: '2026-11-19T08:00:00.123+01:00',
      device_assigned_by: 'admin@example.com',
      op_type: 'Added',
      op_date: '2026-11-19T08:00:00',
      wholly_new: { x: 1 },
    }
    apple.script = [[200, { ...PAGE, devices: [device], more_to_follow: true, also_new: 1 }]]
    const read = await client.syncDevices({ cursor: 'c0', limit: 1000 })
    expect(read).toEqual({
      cursor: 'c1',
      fetchedUntil: new Date('2026-11-25T10:00:00Z'),
      moreToFollow: true,
      devices: [
        {
          serialNumber: 'F2LX1234ABCD',
          model: 'IPHONE 15',
          description: undefined,
          color: undefined,
          assetTag: undefined,
          deviceFamily: 'iPhone',
          os: 'iOS',
          profileStatus: 'assigned',
          profileUuid: '0123456789ABCDEF0123456789ABCDEF',
          profileAssignedAt: new Date('2026-11-20T08:00:00Z'),
          profilePushedAt: undefined,
          assignedAt: new Date('2026-11-19T07:00:00Z'),
          assignedBy: 'admin@example.com',
          migrationDeadline: undefined,
          opType: 'added',
          opDate: new Date('2026-11-19T08:00:00Z'),
          raw: device,
        },
      ],
    })
  })

  test.each([
    ['<!doctype html><title>Sign in</title>', 'it is a web page'],
    ['{"devices":[{"serial', 'it is not valid JSON'],
    ['', 'it is not valid JSON'],
    [[], 'no JSON object'],
    [{ ...PAGE, devices: undefined }, 'devices is missing'],
    [{ ...PAGE, devices: {} }, 'devices is no list'],
    [{ ...PAGE, cursor: '' }, 'cursor is missing'],
    [{ ...PAGE, cursor: 7 }, 'cursor is no text'],
    [{ ...PAGE, cursor: 'x'.repeat(1001) }, 'cursor has more than 1000 characters'],
    [{ ...PAGE, more_to_follow: undefined }, 'more_to_follow is missing'],
    [{ ...PAGE, more_to_follow: 'true' }, 'more_to_follow is neither true nor false'],
    [{ ...PAGE, fetched_until: 'today' }, 'fetched_until is no date'],
    [{ ...PAGE, devices: ['F2L'] }, 'devices[0] is no JSON object'],
    [{ ...PAGE, devices: [{}] }, 'devices[0].serial_number is no serial number'],
    [{ ...PAGE, devices: [{ serial_number: '' }] }, 'devices[0].serial_number is no serial number'],
    [{ ...PAGE, devices: [{ serial_number: 'A\u0000' }] }, 'devices[0].serial_number is no serial number'],
    [{ ...PAGE, devices: [{ serial_number: 'A'.repeat(65) }] }, 'is no serial number'],
    [{ ...PAGE, devices: [{ serial_number: 'A', op_date: '2026-13-01T00:00:00Z' }] }, 'op_date is no date'],
    [{ ...PAGE, devices: [{ serial_number: 'A', model: 1 }] }, 'devices[0].model is no text'],
  ])('%j is refused', async (body, reason) => {
    apple.script = [[200, body]]
    const failure = await adeFailure(client.fetchDevices({ limit: 1 }))
    expect(failure).toMatchObject({ kind: 'malformed_answer', status: 200 })
    expect(failure.message).toContain(reason)
  })

  test('whatever JSON comes, a page or an AdeError', async () => {
    const value = fc.oneof(
      fc.json().map((json) => json),
      fc
        .record({
          devices: fc.array(fc.record({ serial_number: fc.string(), op_type: fc.anything() })),
          cursor: fc.anything(),
          more_to_follow: fc.oneof(fc.boolean(), fc.anything()),
        })
        .map((object) => JSON.stringify(object)),
    )
    await fc.assert(
      fc.asyncProperty(value, async (body) => {
        apple.script = [[200, body]]
        const outcome: unknown = await client.fetchDevices({ limit: 1 }).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toMatchObject({ kind: 'malformed_answer' })
        else expect(typeof (outcome as { cursor: unknown }).cursor).toBe('string')
      }),
      { numRuns: 100 },
    )
  })

  test('the account with its PAGE limits', async () => {
    apple.script = [
      [
        200,
        {
          server_name: 'Head office',
          server_uuid: '677cab70-fe18-11e2-b778-0800200c9a66',
          facilitator_id: 'admin@example.com',
          org_name: 'Acme',
          urls: [
            { uri: '/server/devices', http_method: ['POST'], limit: { default: 100, maximum: 500 } },
            { uri: '/devices/sync', limit: { maximum: 'many' } },
            { uri: '/account' },
            'strange',
          ],
        },
      ],
    ]
    const account = await client.account()
    expect(account).toMatchObject({
      serverName: 'Head office',
      adminId: 'admin@example.com',
      orgName: 'Acme',
    })
    expect(account.limits).toEqual(
      new Map([
        ['/server/devices', { default: 100, maximum: 500 }],
        ['/devices/sync', {}],
      ]),
    )
    apple.script = [[200, { server_name: 'x' }]]
    expect((await adeFailure(client.account())).message).toContain('server_uuid is missing')
  })

  test('details', async () => {
    apple.script = [
      [
        200,
        {
          devices: {
            A1: { serial_number: 'A1', model: 'IPAD', response_status: 'SUCCESS' },
            B2: { response_status: 'NOT_ACCESSIBLE' },
          },
        },
      ],
    ]
    const details = await client.deviceDetails(['A1', 'B2', 'C3'])
    expect(apple.asked.at(-1)?.body).toEqual({ devices: ['A1', 'B2', 'C3'] })
    expect(details.get('A1')).toMatchObject({
      result: 'SUCCESS',
      device: { serialNumber: 'A1', model: 'IPAD' },
    })
    expect(details.get('B2')).toEqual({ result: 'NOT_ACCESSIBLE', text: 'NOT_ACCESSIBLE' })
    expect(details.has('C3')).toBe(false)
  })

  test('profiles', async () => {
    apple.script = [
      [200, { profile_uuid: 'F'.repeat(32), devices: { A: 'SUCCESS', B: 'NOT_ACCESSIBLE' } }],
      [200, { profile_uuid: 'F'.repeat(32), profile_name: 'Sales' }],
      [404, 'NOT_FOUND'],
      [400, '"CONFIG_NAME_INVALID"'],
    ]
    expect(await client.defineProfile({ profile_name: 'Sales' })).toEqual({
      profileUuid: 'F'.repeat(32),
      devices: new Map([
        ['A', { result: 'SUCCESS', text: 'SUCCESS' }],
        ['B', { result: 'NOT_ACCESSIBLE', text: 'NOT_ACCESSIBLE' }],
      ]),
    })
    expect(apple.asked.at(-1)?.body).toEqual({ profile_name: 'Sales' })
    expect((await client.getProfile('a&b')).profile).toMatchObject({ profile_name: 'Sales' })
    expect(lines().at(-1)).toBe('GET /profile?profile_uuid=a%26b')
    expect(await adeFailure(client.getProfile('x'))).toMatchObject({ kind: 'profile_unknown' })
    expect(await adeFailure(client.defineProfile({}))).toMatchObject({
      kind: 'invalid',
      appleCode: 'CONFIG_NAME_INVALID',
    })
  })

  test('an assignment has a result for every serial number', async () => {
    const devices = { A: 'SUCCESS', B: 'not_accessible', C: 'THROTTLED', D: 'ON_HOLIDAY', X: 'SUCCESS' }
    apple.script = [[200, { profile_uuid: 'P', devices, retry_after_seconds: 60 }]]
    const answer = await client.assignProfile('P', ['A', 'B', 'C', 'D', 'E'])
    expect(apple.asked.at(-1)).toMatchObject({
      line: 'POST /profile/devices',
      body: { profile_uuid: 'P', devices: ['A', 'B', 'C', 'D', 'E'] },
    })
    expect(answer.retryAfterSeconds).toBe(60)
    expect([...answer.devices].map(([serial, { result, text: word }]) => [serial, result, word])).toEqual([
      ['A', 'SUCCESS', 'SUCCESS'],
      ['B', 'NOT_ACCESSIBLE', 'not_accessible'],
      ['C', 'THROTTLED', 'THROTTLED'],
      ['D', 'FAILED', 'ON_HOLIDAY'],
      ['E', 'FAILED', 'no result in the answer'],
    ])
    apple.script = [
      [200, { devices: { A: 1 } }],
      [404, 'NOT_FOUND'],
    ]
    expect((await adeFailure(client.assignProfile('P', ['A']))).message).toContain('devices.A is no text')
    expect(await adeFailure(client.assignProfile('P', ['A']))).toMatchObject({ kind: 'profile_unknown' })
  })

  test('where POST is not taken, PUT is, from then on', async () => {
    apple.script = [
      [405, ''],
      [200, { devices: { A: 'SUCCESS' } }],
      [200, { devices: { A: 'SUCCESS' } }],
    ]
    await client.assignProfile('P', ['A'])
    await client.assignProfile('P', ['A'])
    expect(
      lines()
        .slice(1)
        .map((line) => line.split(' ')[0]),
    ).toEqual(['POST', 'PUT', 'PUT'])
  })

  test('removing and releasing', async () => {
    apple.script = [
      [200, { devices: { A: 'SUCCESS' } }],
      [200, { devices: { A: 'FAILED' } }],
    ]
    expect((await client.removeProfile(['A'])).get('A')?.result).toBe('SUCCESS')
    expect((await client.disown(['A'])).get('A')?.result).toBe('FAILED')
    expect(apple.asked.slice(1).map(({ line, body }) => [line, body])).toEqual([
      ['DELETE /profile/devices', { devices: ['A'] }],
      ['POST /devices/disown', { devices: ['A'] }],
    ])
  })

  test('more than a thousand serial numbers are a mistake of the program', async () => {
    const serials = Array.from({ length: 1001 }, (_, index) => `S${index}`)
    const calls = [
      client.assignProfile('P', serials),
      client.deviceDetails(serials),
      client.removeProfile(serials),
      client.disown(serials),
    ]
    const outcomes = await Promise.allSettled(calls)
    expect(
      outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof RangeError),
    ).toEqual(calls.map(() => true))
    expect(apple.asked).toEqual([])
  })

  test('a call can be given up', async () => {
    const controller = new AbortController()
    controller.abort()
    expect(await adeFailure(client.account({ signal: controller.signal }))).toMatchObject({
      kind: 'unavailable',
    })
  })
})
