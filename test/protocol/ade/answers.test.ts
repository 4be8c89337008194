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
      leftOut: [],
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
    [{ ...PAGE, devices: undefined }, 'devices is missing, or no list'],
    [{ ...PAGE, devices: {} }, 'devices is missing, or no list'],
  ])('%j is refused', async (body, reason) => {
    apple.script = [[200, body]]
    const failure = await adeFailure(client.fetchDevices({ limit: 1 }))
    expect(failure).toMatchObject({ kind: 'malformed_answer', status: 200 })
    expect(failure.message).toContain(reason)
  })

  test('a page of changes without a list has none', async () => {
    apple.script = [[200, { ...PAGE, devices: null }]]
    expect(await client.syncDevices({ cursor: 'c0', limit: 1 })).toMatchObject({ devices: [], cursor: 'c1' })
  })

  test.each([
    ...['', 7, null, [], {}, 'x'.repeat(4001)].map((cursor) => [{ cursor }, { cursor: undefined }] as const),
    [{ cursor: 'x'.repeat(1001) }, { cursor: 'x'.repeat(1001) }],
    [{ more_to_follow: 'true' }, { moreToFollow: true }],
    [{ more_to_follow: 0 }, { moreToFollow: false }],
    ...[null, 'perhaps', {}, [true], { toString: 1 }].map(
      (value) => [{ more_to_follow: value }, { moreToFollow: undefined }] as const,
    ),
    [{ fetched_until: 'today' }, { fetchedUntil: undefined }],
  ] as [object, object][])('%j of a page counts as %j', async (odd, read) => {
    apple.script = [[200, { ...PAGE, ...odd }]]
    expect(await client.fetchDevices({ limit: 1 })).toMatchObject(read)
  })

  test.each([
    ['F2L', 'it is no JSON object'],
    [null, 'it is no JSON object'],
    [[], 'it is no JSON object'],
    [{}, 'it has no serial_number'],
    ...['', 'A\u0000', 'A B', 'É1', 'A'.repeat(65), 7, null, ['A'], { a: 1 }].map(
      (serial) =>
        [{ serial_number: serial, model: 'IPAD' }, 'its serial_number is no serial number'] as const,
    ),
  ] as [unknown, string][])('the record %j is left out, its page is not', async (record, problem) => {
    apple.script = [[200, { ...PAGE, devices: [{ serial_number: ' ab12 ' }, record] }]]
    const { devices, leftOut } = await client.fetchDevices({ limit: 1 })
    expect(devices.map(({ serialNumber }) => serialNumber)).toEqual(['AB12'])
    expect(leftOut).toEqual([{ index: 1, problem }])
  })

  test('an odd value of a record counts as absent', async () => {
    const times = ['profile_assign_time', 'profile_push_time', 'device_assigned_date', 'op_date']
    const texts = ['model', 'description', 'color', 'asset_tag', 'device_family', 'os', 'device_assigned_by']
    const words = ['profile_status', 'profile_uuid', 'op_type']
    const odd = (value: unknown) =>
      Object.fromEntries([...times, ...texts, ...words].map((name) => [name, value]))
    const values = [7, true, [], ['iPad'], {}, { a: { b: 1 } }, 'x'.repeat(3000), null, '']
    const dates = ['N/A', 'today', '0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '2026-02-30T00:00:00Z']
    const more = ['9999-12-31T23:59:59-23:59', '2027-12-31T23:59:60Z', '2026-13-01T00:00:00Z', '10000-01-01']
    apple.script = [
      [
        200,
        {
          ...PAGE,
          devices: [
            ...values.map((value, index) => ({ ...odd(value), serial_number: `V${index}` })),
            ...[...dates, ...more].map((date, index) => ({
              ...Object.fromEntries(times.map((name) => [name, date])),
              ...{ serial_number: `D${index}`, mdm_migration_deadline: date, profile_uuid: 'N/A' },
              ...{ op_type: 'vanished', profile_status: 'lost' },
            })),
          ],
        },
      ],
    ]
    const { devices } = await client.syncDevices({ cursor: 'c0', limit: 1000 })
    expect(devices).toHaveLength(values.length + dates.length + more.length)
    for (const { raw, serialNumber, ...rest } of devices) {
      expect([serialNumber, Object.values(rest).filter((value) => value !== undefined)]).toEqual([
        raw['serial_number'],
        [],
      ])
    }
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
        else expect(outcome).toHaveProperty('devices')
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
    const odd = { server_name: 7, server_uuid: 'x'.repeat(65), admin_id: [], org_name: 'x'.repeat(3000) }
    const limit = { default: '100', maximum: 1e15 }
    apple.script = [
      [200, { ...odd, urls: [{ uri: '/devices/sync', limit }, null, { uri: 5 }] }],
      [200, ['strange']],
      [200, { urls: 'none' }],
    ]
    const nothing = { serverName: undefined, serverUuid: undefined, adminId: undefined, orgName: undefined }
    const { limits, ...rest } = await client.account()
    expect(rest).toMatchObject(nothing)
    expect(limits).toEqual(new Map([['/devices/sync', { default: 100, maximum: 10_000 }]]))
    expect(await client.account()).toMatchObject(nothing)
    expect(await client.account()).toMatchObject(nothing)
  })

  test('details', async () => {
    apple.script = [
      [
        200,
        {
          devices: {
            A1: { serial_number: 'A1', model: 'IPAD', response_status: 'SUCCESS' },
            B2: { response_status: 'NOT_ACCESSIBLE' },
            'no serial': { response_status: 'SUCCESS' },
            D4: 'SUCCESS',
            E5: { response_status: 7, model: 'IPAD' },
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
    expect([...details.keys()]).toEqual(['A1', 'B2', 'E5'])
    expect(details.get('E5')).toMatchObject({ result: 'FAILED' })
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
    const devices = { a: ' Success', B: 'not_accessible', C: 'THROTTLED', D: 'ON_HOLIDAY', X: 'SUCCESS' }
    apple.script = [[200, { profile_uuid: 'P', devices, retry_after_seconds: 60 }]]
    const answer = await client.assignProfile('P', ['A', 'B', 'C', 'D', 'E'])
    expect(apple.asked.at(-1)).toMatchObject({
      line: 'POST /profile/devices',
      body: { profile_uuid: 'P', devices: ['A', 'B', 'C', 'D', 'E'] },
    })
    expect(answer.retryAfterSeconds).toBe(60)
    expect([...answer.devices].map(([serial, { result, text: word }]) => [serial, result, word])).toEqual([
      ['A', 'SUCCESS', ' Success'],
      ['B', 'NOT_ACCESSIBLE', 'not_accessible'],
      ['C', 'THROTTLED', 'THROTTLED'],
      ['D', 'FAILED', 'ON_HOLIDAY'],
      ['E', 'FAILED', 'no result in the answer'],
    ])
    apple.script = [
      [200, { devices: { A: 1, B: { response_status: 'SUCCESS' }, C: null }, retry_after_seconds: '60' }],
      [200, { devices: [], retry_after_seconds: 60 }],
      [404, 'NOT_FOUND'],
    ]
    const odd = await client.assignProfile('P', ['A', 'B', 'C'])
    expect([...odd.devices].map(([serial, { result }]) => [serial, result])).toEqual([
      ['A', 'FAILED'],
      ['B', 'SUCCESS'],
      ['C', 'FAILED'],
    ])
    expect(odd.retryAfterSeconds).toBe(60)
    expect((await adeFailure(client.assignProfile('P', ['A']))).message).toContain('devices is missing')
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
