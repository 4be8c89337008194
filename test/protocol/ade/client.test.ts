import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { verifyOAuth } from '../../../src/protocol/ade/index.ts'
import type { AdeClient } from '../../../src/protocol/ade/index.ts'
import { adeFailure, PAGE, scriptedApple, TOKEN } from '../../support/scripted-apple.ts'
import type { Reply, ScriptedApple } from '../../support/scripted-apple.ts'

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

describe('the session', () => {
  test('a signed login, then its token, with the headers that Apple asks for', async () => {
    await client.fetchDevices({ limit: 100 })
    expect(lines()).toEqual(['GET /session', 'POST /server/devices'])
    const [login, fetch] = apple.asked
    const verdict = verifyOAuth(
      { method: 'GET', url: `${apple.url}/session`, authorization: login?.headers.authorization },
      { find: () => TOKEN, takeNonce: () => true, now: new Date(), toleranceSeconds: 60 },
    )
    expect(verdict).toMatchObject({ ok: true })
    for (const request of apple.asked) {
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
    apple.script = [
      [200, PAGE, { 'X-ADM-Auth-Session': 'renewed' }],
      [500, 'oops', { 'X-ADM-Auth-Session': 'again' }],
    ]
    await client.fetchDevices({ limit: 1 })
    await adeFailure(client.fetchDevices({ limit: 1 }))
    await client.fetchDevices({ limit: 1 })
    expect(apple.asked.slice(1).map(({ headers }) => headers['x-adm-auth-session'])).toEqual([
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
    apple.script = [[status, body]]
    await client.syncDevices({ cursor: 'c', limit: 5 })
    expect(lines()).toEqual(['GET /session', 'POST /devices/sync', 'GET /session', 'POST /devices/sync'])
    expect(apple.asked.at(-1)?.headers['x-adm-auth-session']).toBe('S2')
    expect(apple.asked.at(-1)?.body).toEqual({ cursor: 'c', limit: 5 })
  })

  test('once only', async () => {
    apple.script = [
      [401, 'UNAUTHORIZED'],
      [401, 'UNAUTHORIZED'],
    ]
    expect(await adeFailure(client.account())).toMatchObject({ kind: 'token_rejected', status: 401 })
    apple.script = [
      [403, 'FORBIDDEN'],
      [403, 'FORBIDDEN'],
    ]
    expect(await adeFailure(client.account())).toMatchObject({
      kind: 'access_denied',
      appleCode: 'FORBIDDEN',
    })
    expect(apple.asked).toHaveLength(3 + 1 + 2 + 1)
  })

  test('calls at the same time share one login, and one more when it ends', async () => {
    await Promise.all(Array.from({ length: 8 }, () => client.fetchDevices({ limit: 1 })))
    expect(apple.sessions).toBe(1)
    apple.script = Array.from({ length: 8 }, (): Reply => [401, ''])
    await Promise.all(Array.from({ length: 8 }, () => client.fetchDevices({ limit: 1 })))
    expect(apple.sessions).toBe(2)
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
    apple.logins = [[status, body]]
    expect(await adeFailure(client.account())).toMatchObject({ kind })
    expect(lines()).toEqual(['GET /session'])
    await client.fetchDevices({ limit: 1 })
    expect(apple.sessions).toBe(2)
  })

  test('a word is said of each login, and no secret in any error', async () => {
    let said = 0
    const onSession = () => said++
    const watched = apple.client({ onSession })
    await watched.fetchDevices({ limit: 1 })
    expect(said).toBe(1)
    apple.logins = [[401, 'token_rejected']]
    const error = await adeFailure(client.account())
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
    [403, 't_c_not_signed\r\n', 'terms_not_signed'],
    [403, '\uFEFF"T&C_NOT_SIGNED"', 'terms_not_signed'],
    [400, 'T_C_NOT_SIGNED', 'terms_not_signed'],
    [403, { errors: [{ code: 'T_C_NOT_SIGNED', message: 'Terms.' }] }, 'terms_not_signed'],
    [403, { errors: [{ code: 'FORBIDDEN' }, 'T_C_NOT_SIGNED'] }, 'terms_not_signed'],
    [403, { error: { details: [{ errorCode: 'T-C-NOT-SIGNED' }] } }, 'terms_not_signed'],
    [403, { code: 403, message: 'Terms and conditions not signed' }, 'terms_not_signed'],
    [403, [{ reason: 'TERMS_NOT_SIGNED' }], 'terms_not_signed'],
    [403, '<html><body>403 Forbidden: T_C_NOT_SIGNED</body></html>', 'terms_not_signed'],
    [403, '<error><code>T_C_NOT_SIGNED</code></error>', 'terms_not_signed'],
    [403, '<html>Access denied by the proxy: forbidden</html>', 'unavailable'],
    [403, '', 'access_denied'],
    [403, { code: 'ACCESS_DENIED' }, 'access_denied'],
    [403, { toString: 1, errors: null, code: [] }, 'access_denied'],
    [400, { errors: [{ code: 'expired_cursor' }] }, 'cursor_expired'],
    [400, 'Error: INVALID_CURSOR (request 7)', 'cursor_invalid'],
    [400, '', 'invalid'],
    [404, '<html>', 'invalid'],
    [500, '', 'unavailable'],
  ])('%i %j is %s', async (status, body, kind) => {
    apple.script = [[status, body]]
    expect(await adeFailure(client.syncDevices({ cursor: 'c', limit: 1 }))).toMatchObject({ kind, status })
  })

  test('how long to wait', async () => {
    apple.script = [
      [429, '', { 'retry-after': '17' }],
      [503, '', { 'retry-after': new Date(Date.now() + 100_000).toUTCString() }],
      [429, '', { 'retry-after': '999999999' }],
      ...['later', '-5', '12abc', '60 seconds', '', 'Mon, 99 Foo 2026 00:00:00 GMT'].map((value): Reply => [
        429,
        '',
        { 'retry-after': value },
      ]),
      [429, '', { 'retry-after': '1.5' }],
      [429, '', { 'retry-after': '9'.repeat(400) }],
    ]
    expect(await adeFailure(client.account())).toMatchObject({ kind: 'throttled', retryAfterMs: 17_000 })
    const dated = (await adeFailure(client.account())).retryAfterMs ?? 0
    expect(dated).toBeGreaterThan(80_000)
    expect(dated).toBeLessThanOrEqual(100_000)
    expect((await adeFailure(client.account())).retryAfterMs).toBe(86_400_000)
    for (let count = 0; count < 6; count += 1) {
      expect((await adeFailure(client.account())).retryAfterMs).toBeUndefined()
    }
    expect((await adeFailure(client.account())).retryAfterMs).toBe(1_500)
    expect((await adeFailure(client.account())).retryAfterMs).toBe(86_400_000)
  })

  test('nobody there, and too much', async () => {
    apple.script = [[200, 'x'.repeat(200_000)]]
    expect(await adeFailure(client.account())).toMatchObject({ kind: 'malformed_answer', status: undefined })
    const nowhere = apple.client({ baseUrl: 'http://127.0.0.1:1' })
    expect(await adeFailure(nowhere.account())).toMatchObject({ kind: 'unavailable', status: undefined })
  })
})
