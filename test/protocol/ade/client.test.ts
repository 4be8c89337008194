import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/kernel/clock.ts'
import { createHttpClient } from '../../../src/kernel/http-client.ts'
import { AdeError, createAdeClient, verifyOAuth } from '../../../src/protocol/ade/index.ts'
import type { AdeClient } from '../../../src/protocol/ade/index.ts'

/** What the scripted Apple answers: status, body and headers. */
type Reply = [status: number, body: unknown, headers?: Record<string, string>]

interface Asked {
  line: string
  headers: IncomingMessage['headers']
  body: unknown
}

const token = {
  consumerKey: 'CK_1',
  consumerSecret: 'CS_1',
  accessToken: 'AT_1',
  accessSecret: 'AS_1',
}
const page = { devices: [], cursor: 'c1', fetched_until: '2026-11-25T10:00:00Z', more_to_follow: false }

let script: Reply[]
let logins: Reply[]
let asked: Asked[]
let sessions: number
let url: string
let client: AdeClient

const text = (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body))

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    const line = `${request.method} ${request.url}`
    asked.push({ line, headers: request.headers, body: body === '' ? undefined : JSON.parse(body) })
    const login = line === 'GET /session'
    if (login) sessions++
    const reply = (login ? logins : script).shift() ?? [
      200,
      login ? { auth_session_token: `S${sessions}` } : page,
    ]
    response.writeHead(reply[0], reply[2]).end(text(reply[1]))
  })
})
const http = createHttpClient({ timeoutMs: 10_000, maxBytes: 100_000, userAgent: 'x', clock: systemClock })

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(() => {
  http.close()
  server.closeAllConnections()
  server.close()
})

beforeEach(() => {
  script = []
  logins = []
  asked = []
  sessions = 0
  client = createAdeClient({ baseUrl: `${url}/`, token, http, clock: systemClock, userAgent: 'firstboot/1' })
})

const lines = () => asked.map(({ line }) => line)

async function failureOf(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof AdeError)) throw new Error('no AdeError', { cause: error })
  const { kind, appleCode, status, retryAfterMs, message } = error
  return { kind, appleCode, status, retryAfterMs, message }
}

describe('the session', () => {
  test('a signed login, then its token, with the headers that Apple asks for', async () => {
    await client.fetchDevices({ limit: 100 })
    expect(lines()).toEqual(['GET /session', 'POST /server/devices'])
    const [login, fetch] = asked
    const verdict = verifyOAuth(
      { method: 'GET', url: `${url}/session`, authorization: login?.headers.authorization },
      { find: () => token, takeNonce: () => true, now: new Date(), toleranceSeconds: 60 },
    )
    expect(verdict).toMatchObject({ ok: true })
    for (const request of asked) {
      expect(request.headers).toMatchObject({
        'content-type': 'application/json;charset=UTF8',
        accept: 'application/json;charset=UTF8',
        'x-server-protocol-version': '10',
        'user-agent': 'firstboot/1',
      })
    }
    expect(fetch?.headers['x-adm-auth-session']).toBe('S1')
    expect(fetch?.headers.authorization).toBeUndefined()
    expect(fetch?.body).toEqual({ limit: 100 })
  })

  test('each answer may bring another token', async () => {
    script = [
      [200, page, { 'X-ADM-Auth-Session': 'renewed' }],
      [500, 'oops', { 'X-ADM-Auth-Session': 'again' }],
    ]
    await client.fetchDevices({ limit: 1 })
    await failureOf(client.fetchDevices({ limit: 1 }))
    await client.fetchDevices({ limit: 1 })
    expect(asked.slice(1).map(({ headers }) => headers['x-adm-auth-session'])).toEqual([
      'S1',
      'renewed',
      'again',
    ])
  })

  test.each([
    [401, ''],
    [401, 'EXPIRED_TOKEN'],
    [403, '"FORBIDDEN"'],
    [403, { code: 'FORBIDDEN' }],
  ])('%i %j opens another one and asks again', async (status, body) => {
    script = [[status, body]]
    await client.syncDevices({ cursor: 'c', limit: 5 })
    expect(lines()).toEqual(['GET /session', 'POST /devices/sync', 'GET /session', 'POST /devices/sync'])
    expect(asked.at(-1)?.headers['x-adm-auth-session']).toBe('S2')
    expect(asked.at(-1)?.body).toEqual({ cursor: 'c', limit: 5 })
  })

  test('once only', async () => {
    script = [
      [401, 'UNAUTHORIZED'],
      [401, 'UNAUTHORIZED'],
    ]
    expect(await failureOf(client.account())).toMatchObject({ kind: 'token_rejected', status: 401 })
    script = [
      [403, 'FORBIDDEN'],
      [403, 'FORBIDDEN'],
    ]
    expect(await failureOf(client.account())).toMatchObject({ kind: 'access_denied', appleCode: 'FORBIDDEN' })
    expect(asked).toHaveLength(3 + 1 + 2 + 1)
  })

  test('calls at the same time share one login, and one more when it ends', async () => {
    await Promise.all(Array.from({ length: 8 }, () => client.fetchDevices({ limit: 1 })))
    expect(sessions).toBe(1)
    script = Array.from({ length: 8 }, (): Reply => [401, ''])
    await Promise.all(Array.from({ length: 8 }, () => client.fetchDevices({ limit: 1 })))
    expect(sessions).toBe(2)
  })

  test.each([
    [401, 'token_rejected', 'token_rejected'],
    [400, 'bad request, says the server!', 'invalid'],
    [403, 'ACCESS_DENIED', 'access_denied'],
    [403, '"T_C_NOT_SIGNED"', 'terms_not_signed'],
    [503, '', 'unavailable'],
    [429, '', 'throttled'],
    [302, '', 'malformed_answer'],
    [200, '<html>', 'malformed_answer'],
    [200, { auth_session_token: '' }, 'malformed_answer'],
    [200, { auth_session_token: 'a\nb' }, 'malformed_answer'],
  ])('a login that ends with %i %j: %s; the next call tries again', async (status, body, kind) => {
    logins = [[status, body]]
    expect(await failureOf(client.account())).toMatchObject({ kind })
    expect(lines()).toEqual(['GET /session'])
    await client.fetchDevices({ limit: 1 })
    expect(sessions).toBe(2)
  })

  test('a word is said of each login, and no secret in any error', async () => {
    let said = 0
    const onSession = () => said++
    const watched = createAdeClient({
      baseUrl: url,
      token,
      http,
      clock: systemClock,
      userAgent: 'x',
      onSession,
    })
    await watched.fetchDevices({ limit: 1 })
    expect(said).toBe(1)
    logins = [[401, 'token_rejected']]
    const error = await failureOf(client.account())
    expect(error.message).toContain('make a new one in its portal')
    expect(JSON.stringify(error)).not.toMatch(/AS_1|CS_1|AT_1/)
  })
})

describe('errors', () => {
  test.each([
    [400, 'EXPIRED_CURSOR', 'cursor_expired'],
    [400, '"INVALID_CURSOR"', 'cursor_invalid'],
    [400, { code: 'EXHAUSTED_CURSOR' }, 'cursor_exhausted'],
    [400, { error: 'CURSOR_REQUIRED' }, 'cursor_required'],
    [400, 'MALFORMED_REQUEST_BODY', 'invalid'],
    [403, 'T_C_NOT_SIGNED', 'terms_not_signed'],
    [404, '<html>', 'invalid'],
    [500, '', 'unavailable'],
  ])('%i %j is %s', async (status, body, kind) => {
    script = [[status, body]]
    expect(await failureOf(client.syncDevices({ cursor: 'c', limit: 1 }))).toMatchObject({ kind, status })
  })

  test('how long to wait', async () => {
    script = [
      [429, '', { 'retry-after': '17' }],
      [503, '', { 'retry-after': new Date(Date.now() + 100_000).toUTCString() }],
      [429, '', { 'retry-after': '999999999' }],
      [429, '', { 'retry-after': 'later' }],
    ]
    expect(await failureOf(client.account())).toMatchObject({ kind: 'throttled', retryAfterMs: 17_000 })
    const dated = (await failureOf(client.account())).retryAfterMs ?? 0
    expect(dated).toBeGreaterThan(80_000)
    expect(dated).toBeLessThanOrEqual(100_000)
    expect((await failureOf(client.account())).retryAfterMs).toBe(86_400_000)
    expect((await failureOf(client.account())).retryAfterMs).toBeUndefined()
  })

  test('nobody there, and too much', async () => {
    script = [[200, 'x'.repeat(200_000)]]
    expect(await failureOf(client.account())).toMatchObject({ kind: 'malformed_answer', status: undefined })
    const nowhere = createAdeClient({
      baseUrl: 'http://127.0.0.1:1',
      token,
      http,
      clock: systemClock,
      userAgent: 'x',
    })
    expect(await failureOf(nowhere.account())).toMatchObject({ kind: 'unavailable', status: undefined })
  })
})

describe('answers', () => {
  test('a page, its times and its words', async () => {
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
    script = [[200, { ...page, devices: [device], more_to_follow: true, also_new: 1 }]]
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
    [{ ...page, devices: undefined }, 'devices is missing'],
    [{ ...page, devices: {} }, 'devices is no list'],
    [{ ...page, cursor: '' }, 'cursor is missing'],
    [{ ...page, cursor: 7 }, 'cursor is no text'],
    [{ ...page, cursor: 'x'.repeat(1001) }, 'cursor has more than 1000 characters'],
    [{ ...page, more_to_follow: undefined }, 'more_to_follow is missing'],
    [{ ...page, more_to_follow: 'true' }, 'more_to_follow is neither true nor false'],
    [{ ...page, fetched_until: 'today' }, 'fetched_until is no date'],
    [{ ...page, devices: ['F2L'] }, 'devices[0] is no JSON object'],
    [{ ...page, devices: [{}] }, 'devices[0].serial_number is no serial number'],
    [{ ...page, devices: [{ serial_number: '' }] }, 'devices[0].serial_number is no serial number'],
    [{ ...page, devices: [{ serial_number: 'A\u0000' }] }, 'devices[0].serial_number is no serial number'],
    [{ ...page, devices: [{ serial_number: 'A'.repeat(65) }] }, 'is no serial number'],
    [{ ...page, devices: [{ serial_number: 'A', op_date: '2026-13-01T00:00:00Z' }] }, 'op_date is no date'],
    [{ ...page, devices: [{ serial_number: 'A', model: 1 }] }, 'devices[0].model is no text'],
  ])('%j is refused', async (body, reason) => {
    script = [[200, body]]
    const failure = await failureOf(client.fetchDevices({ limit: 1 }))
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
        script = [[200, body]]
        const outcome: unknown = await client.fetchDevices({ limit: 1 }).catch((error: unknown) => error)
        if (outcome instanceof Error) expect(outcome).toMatchObject({ kind: 'malformed_answer' })
        else expect(typeof (outcome as { cursor: unknown }).cursor).toBe('string')
      }),
      { numRuns: 100 },
    )
  })

  test('the account with its page limits', async () => {
    script = [
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
    script = [[200, { server_name: 'x' }]]
    expect((await failureOf(client.account())).message).toContain('server_uuid is missing')
  })

  test('details', async () => {
    script = [
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
    expect(asked.at(-1)?.body).toEqual({ devices: ['A1', 'B2', 'C3'] })
    expect(details.get('A1')).toMatchObject({
      result: 'SUCCESS',
      device: { serialNumber: 'A1', model: 'IPAD' },
    })
    expect(details.get('B2')).toEqual({ result: 'NOT_ACCESSIBLE', text: 'NOT_ACCESSIBLE' })
    expect(details.has('C3')).toBe(false)
  })

  test('profiles', async () => {
    script = [
      [200, { profile_uuid: 'F'.repeat(32), devices: {} }],
      [200, { profile_uuid: 'F'.repeat(32), profile_name: 'Sales' }],
      [404, 'NOT_FOUND'],
      [400, '"CONFIG_NAME_INVALID"'],
    ]
    expect(await client.defineProfile({ profile_name: 'Sales' })).toEqual({ profileUuid: 'F'.repeat(32) })
    expect(asked.at(-1)?.body).toEqual({ profile_name: 'Sales' })
    expect((await client.getProfile('a&b')).profile).toMatchObject({ profile_name: 'Sales' })
    expect(lines().at(-1)).toBe('GET /profile?profile_uuid=a%26b')
    expect(await failureOf(client.getProfile('x'))).toMatchObject({ kind: 'profile_unknown' })
    expect(await failureOf(client.defineProfile({}))).toMatchObject({
      kind: 'invalid',
      appleCode: 'CONFIG_NAME_INVALID',
    })
  })

  test('an assignment has a result for every serial number', async () => {
    const devices = { A: 'SUCCESS', B: 'not_accessible', C: 'THROTTLED', D: 'ON_HOLIDAY', X: 'SUCCESS' }
    script = [[200, { profile_uuid: 'P', devices, retry_after_seconds: 60 }]]
    const answer = await client.assignProfile('P', ['A', 'B', 'C', 'D', 'E'])
    expect(asked.at(-1)).toMatchObject({
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
    script = [
      [200, { devices: { A: 1 } }],
      [404, 'NOT_FOUND'],
    ]
    expect((await failureOf(client.assignProfile('P', ['A']))).message).toContain('devices.A is no text')
    expect(await failureOf(client.assignProfile('P', ['A']))).toMatchObject({ kind: 'profile_unknown' })
  })

  test('where POST is not taken, PUT is, from then on', async () => {
    script = [
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
    script = [
      [200, { devices: { A: 'SUCCESS' } }],
      [200, { devices: { A: 'FAILED' } }],
    ]
    expect((await client.removeProfile(['A'])).get('A')?.result).toBe('SUCCESS')
    expect((await client.disown(['A'])).get('A')?.result).toBe('FAILED')
    expect(asked.slice(1).map(({ line, body }) => [line, body])).toEqual([
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
    expect(asked).toEqual([])
  })

  test('a call can be given up', async () => {
    const controller = new AbortController()
    controller.abort()
    expect(await failureOf(client.account({ signal: controller.signal }))).toMatchObject({
      kind: 'unavailable',
    })
  })
})
