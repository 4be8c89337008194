import { request as httpRequest } from 'node:http'
import { describe, expect, test } from 'vitest'
import { signOAuth } from '../../src/protocol/ade/index.ts'
import { adeTroubles } from '../support/ade-troubles.ts'
import { GOOD_PROFILE, useAdeStage } from './ade-stage.ts'

const stage = useAdeStage()

const HEADERS = {
  'content-type': 'application/json;charset=UTF8',
  'user-agent': 'test',
  'x-server-protocol-version': '10',
}

interface Raw {
  status: number
  headers: Record<string, unknown>
  body: string
}

function send(method: string, path: string, headers: Record<string, string>, body = ''): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(stage.ade.url + path, { method, headers }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

let nonces = 0

function authorization(changes: Partial<Parameters<typeof signOAuth>[0]> = {}): string {
  return signOAuth({
    method: 'GET',
    url: `${stage.ade.url}/session`,
    credentials: stage.token,
    nonce: `nonce ${nonces++}`,
    timestamp: stage.clock.now().getTime() / 1000,
    ...changes,
  })
}

const logIn = (value: string, headers: Record<string, string> = HEADERS) =>
  send('GET', '/session', { ...headers, authorization: value })

/** Calls with a session of our own and that protocol version. */
async function callAs(
  version: number,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const session = JSON.parse((await logIn(authorization())).body) as { auth_session_token: string }
  const headers = { ...HEADERS, 'x-server-protocol-version': String(version) }
  const answer = await send(
    method,
    path,
    { ...headers, 'x-adm-auth-session': session.auth_session_token },
    body && JSON.stringify(body),
  )
  return JSON.parse(answer.body) as Record<string, unknown>
}

describe('sessions', () => {
  test('the token of the portal opens one session for many calls', async () => {
    const account = await stage.client.account()
    expect(account).toMatchObject({ serverName: 'phones', orgName: 'Example AG' })
    await stage.client.account()
    expect(stage.ade.counts()).toEqual({ 'GET /session': 1, 'GET /account': 2 })
    expect(stage.ade.violations).toEqual([])
  })

  test.each([
    ['another secret', { credentials: { accessSecret: 'no' } }, 'signature_invalid'],
    ['another address', { url: 'https://mdmenrollment.apple.com/session' }, 'signature_invalid'],
    ['a clock ten minutes behind', { timestamp: 1795593000 }, 'timestamp_refused'],
    ['an unknown consumer', { credentials: { consumerKey: 'no' } }, 'consumer_key_unknown'],
    ['an unknown token', { credentials: { accessToken: 'no' } }, 'token_rejected'],
  ])('%s is refused', async (_, changes, word) => {
    const credentials = { ...stage.token, ...('credentials' in changes ? changes.credentials : {}) }
    const answer = await logIn(authorization({ ...changes, credentials }))
    expect(answer).toMatchObject({ status: 401, body: word })
  })

  test('a nonce is good once', async () => {
    const header = authorization()
    expect((await logIn(header)).status).toBe(200)
    expect(await logIn(header)).toMatchObject({ status: 401, body: 'nonce_used' })
    expect(stage.kinds()).toEqual(['oauth_invalid'])
  })

  test('without User-Agent or Content-Type nothing works', async () => {
    const { 'user-agent': _, ...noAgent } = HEADERS
    expect(await logIn(authorization(), noAgent)).toMatchObject({ status: 400, body: 'USER_AGENT_MISSING' })
    const { 'content-type': __, ...noType } = HEADERS
    expect(await logIn(authorization(), noType)).toMatchObject({ status: 400 })
    expect(stage.kinds()).toEqual(['header_missing', 'header_missing'])
  })

  test('every answer brings a new token; an old one ends soon, an idle one after three minutes', async () => {
    const first = (JSON.parse((await logIn(authorization())).body) as { auth_session_token: string })
      .auth_session_token
    const call = (token: string) => send('GET', '/account', { ...HEADERS, 'x-adm-auth-session': token })
    const second = String((await call(first)).headers['x-adm-auth-session'])
    expect(second).not.toBe(first)
    stage.clock.advance(31_000)
    expect((await call(first)).status).toBe(401)
    expect((await call(second)).status).toBe(200)
    stage.clock.advance(181_000)
    expect((await call(second)).status).toBe(401)
  })

  test('the client logs in again when its session is over, and is not blamed', async () => {
    await stage.client.account()
    stage.ade.loseSessions()
    await stage.client.account()
    stage.ade.script('/account', adeTroubles.sessionLost)
    await stage.client.account()
    expect(stage.ade.counts()).toEqual({ 'GET /session': 3, 'GET /account': 5 })
    expect(stage.ade.violations).toEqual([])
  })

  test('a session for each call is noticed', async () => {
    for (let count = 0; count < 4; count++) await callAs(10, 'GET', '/account')
    expect(stage.kinds()).toEqual(['session_per_call'])
  })

  test('a renewed token replaces the old one; a removed server has no access', async () => {
    const { portal } = stage.ade
    const old = stage.client
    const { consumerKey } = stage.token
    const renewed = await stage.clientFor(portal.renew('phones', { certificatePem: stage.certificatePem }))
    expect(stage.token.consumerKey).toBe(consumerKey)
    await renewed.account()
    expect(await stage.failure(old.account())).toMatchObject({ kind: 'token_rejected' })
    portal.removeServer('phones')
    expect(await stage.failure(renewed.account())).toMatchObject({ kind: 'access_denied' })
  })

  test('new terms stop everything until they are signed', async () => {
    stage.ade.portal.signTerms(false)
    expect(await stage.failure(stage.client.account())).toMatchObject({ kind: 'terms_not_signed' })
    stage.ade.portal.signTerms(true, 'phones')
    await stage.client.account()
  })
})

describe('pages', () => {
  const names = (count: number, prefix = 'SER') => Array.from({ length: count }, (_, at) => `${prefix}${at}`)
  const serialsOf = (page: { devices: readonly { serialNumber: string }[] }) =>
    page.devices.map(({ serialNumber }) => serialNumber)

  test('100,000 serial numbers are fetched, each once', async () => {
    stage.ade.portal.addDevices(names(100_000), 'phones')
    const seen = new Set<string>()
    let cursor: string | undefined
    for (let more = true; more;) {
      const page = await stage.client.fetchDevices({ limit: 1000, ...(cursor && { cursor }) })
      serialsOf(page).forEach((serial) => seen.add(serial))
      cursor = page.cursor
      more = page.moreToFollow === true
    }
    expect(seen.size).toBe(100_000)
    expect(stage.ade.counts()).toEqual({ 'GET /session': 1, 'POST /server/devices': 100 })
  })

  test('the cursor of a complete fetch is exhausted, and good for sync', async () => {
    const { portal } = stage.ade
    portal.addDevices(['A', 'B', 'C'], 'phones')
    const page = await stage.client.fetchDevices({ limit: 10 })
    expect(page).toMatchObject({ moreToFollow: false })
    const again = stage.client.fetchDevices({ cursor: page.cursor!, limit: 10 })
    expect(await stage.failure(again)).toMatchObject({ kind: 'cursor_exhausted' })
    expect(await stage.client.syncDevices({ cursor: page.cursor!, limit: 10 })).toMatchObject({ devices: [] })

    stage.clock.advance(60_000)
    portal.addDevices(['D'], 'phones')
    portal.moveDevice('A', null)
    portal.removeDevice('B')
    portal.moveDevice('A', 'phones')
    const changes = await stage.client.syncDevices({ cursor: page.cursor!, limit: 10 })
    const fetched = stage.client.fetchDevices({ cursor: changes.cursor!, limit: 10 })
    expect(await stage.failure(fetched)).toMatchObject({ kind: 'cursor_exhausted' })
    expect(changes.devices.map(({ serialNumber, opType }) => [serialNumber, opType])).toEqual([
      ['D', 'added'],
      ['A', 'deleted'],
      ['B', 'deleted'],
      ['A', 'added'],
    ])
    expect(changes.devices[0]?.opDate).toEqual(new Date('2026-11-25T08:01:00Z'))
  })

  test('a device that is touched during a fetch comes later, and not twice with the same state', async () => {
    stage.ade.portal.addDevices(['A', 'B', 'C'], 'phones')
    const first = await stage.client.fetchDevices({ limit: 1 })
    stage.ade.portal.setProfile('B', null)
    const second = await stage.client.fetchDevices({ cursor: first.cursor!, limit: 10 })
    expect([...serialsOf(first), ...serialsOf(second)]).toEqual(['A', 'C', 'B'])
  })

  test('cursors are required, must be known, and live seven days', async () => {
    const { cursor } = await stage.client.fetchDevices({ limit: 10 })
    const sync = (value: string) => stage.failure(stage.client.syncDevices({ cursor: value, limit: 1 }))
    expect(await sync('')).toMatchObject({ kind: 'cursor_required' })
    expect(await sync('beef')).toMatchObject({ kind: 'cursor_invalid' })
    stage.clock.advance(7 * 86_400_000 + 1)
    expect(await sync(cursor!)).toMatchObject({ kind: 'cursor_expired' })
    const fresh = await stage.client.fetchDevices({ limit: 10 })
    stage.ade.forgetCursors()
    expect(await sync(fresh.cursor!)).toMatchObject({ kind: 'cursor_invalid' })
  })

  test('fields appear with the protocol version', async () => {
    const migrationDeadline = new Date('2027-01-01T00:00:00Z')
    stage.ade.portal.addDevices([{ serialNumber: 'PAD', deviceFamily: 'iPad', migrationDeadline }], 'phones')
    const recordOf = async (version: number) =>
      ((await callAs(version, 'POST', '/server/devices', {}))['devices'] as Record<string, unknown>[])[0]
    expect(await recordOf(1)).not.toHaveProperty('os')
    expect(await recordOf(2)).toMatchObject({ os: 'iOS', device_family: 'iPad' })
    expect(await recordOf(7)).not.toHaveProperty('mdm_migration_deadline')
    expect(await recordOf(10)).toMatchObject({ os: 'iPadOS', mdm_migration_deadline: '2027-01-01T00:00:00Z' })
    expect(await callAs(2, 'GET', '/account')).not.toHaveProperty('urls')
  })

  test('what pages can do wrong', async () => {
    stage.ade.portal.addDevices(['A', 'B'], 'phones')
    const { client, ade } = stage
    ade.script('/server/devices', 'empty_page', 'reordered', 'doubled', 'same_cursor')
    const empty = await client.fetchDevices({ limit: 10 })
    expect(empty).toMatchObject({ devices: [], moreToFollow: true })
    expect(serialsOf(await client.fetchDevices({ cursor: empty.cursor!, limit: 10 }))).toEqual(['B', 'A'])
    expect(serialsOf(await client.fetchDevices({ cursor: empty.cursor!, limit: 10 }))).toEqual([
      'A',
      'B',
      'A',
      'B',
    ])
    const same = await client.fetchDevices({ cursor: empty.cursor!, limit: 1 })
    expect(same).toMatchObject({ cursor: empty.cursor!, moreToFollow: true })
  })
})

describe('profiles', () => {
  test.each([
    [{ url: 'https://a.example' }, 'CONFIG_NAME_REQUIRED'],
    [{ profile_name: '', url: 'https://a.example' }, 'CONFIG_NAME_INVALID'],
    [{ profile_name: 'é'.repeat(126), url: 'https://a.example' }, 'CONFIG_NAME_INVALID'],
    [{ profile_name: 'a' }, 'CONFIG_URL_REQUIRED'],
    [{ ...GOOD_PROFILE, url: 'http://mdm.example.com' }, 'CONFIG_URL_INVALID'],
    [{ ...GOOD_PROFILE, url: `https://a.example/${'x'.repeat(2000)}` }, 'CONFIG_URL_INVALID'],
    [{ ...GOOD_PROFILE, department: '' }, 'DEPARTMENT_INVALID'],
    [{ ...GOOD_PROFILE, support_phone_number: '1'.repeat(51) }, 'SUPPORT_PHONE_INVALID'],
    [{ ...GOOD_PROFILE, support_email_address: 1 }, 'SUPPORT_EMAIL_INVALID'],
    [{ ...GOOD_PROFILE, org_magic: '' }, 'MAGIC_INVALID'],
    [{ ...GOOD_PROFILE, is_mdm_removable: false }, 'FLAGS_INVALID'],
    [{ ...GOOD_PROFILE, region: 'ch' }, 'LOCALE_INVALID'],
    [{ ...GOOD_PROFILE, skip_setup_items: 'Siri' }, 'MALFORMED_REQUEST_BODY'],
  ])('refused (%#)', async (profile, word) => {
    expect(await stage.failure(stage.client.defineProfile(profile))).toMatchObject({
      kind: 'invalid',
      appleCode: word,
    })
    expect(stage.kinds()).toEqual(['profile_invalid'])
  })

  test('a profile is defined, read, assigned, fetched by its device and removed', async () => {
    const { client, ade, clock } = stage
    ade.portal.addDevices(['A', 'B'], 'phones')
    const { profileUuid } = await client.defineProfile(GOOD_PROFILE)
    expect(profileUuid).toMatch(/^[0-9a-f]{32}$/)
    expect((await client.getProfile(profileUuid)).profile).toMatchObject(GOOD_PROFILE)
    const assigned = await client.assignProfile(profileUuid, ['A', 'STRANGE'])
    expect(Object.fromEntries(assigned.devices)).toEqual({
      A: { result: 'SUCCESS', text: 'SUCCESS' },
      STRANGE: { result: 'NOT_ACCESSIBLE', text: 'NOT_ACCESSIBLE' },
    })
    expect(ade.device('A')).toMatchObject({ profileStatus: 'assigned', profileAssignedAt: clock.now() })
    expect(ade.activate('A')).toMatchObject({ uuid: profileUuid, content: GOOD_PROFILE })
    expect(ade.activate('B')).toBeUndefined()
    expect((await client.deviceDetails(['A', 'STRANGE'])).get('A')?.device).toMatchObject({
      profileStatus: 'pushed',
      profileUuid,
    })
    await client.removeProfile(['A'])
    expect(ade.device('A')).toMatchObject({ profileStatus: 'removed', profileUuid: undefined })
    expect(ade.violations).toEqual([])
  })

  test('the same again is noticed, unless the answer was lost', async () => {
    const { client, ade } = stage
    ade.portal.addDevices(['A'], 'phones')
    ade.script('/profile', 'lost')
    expect(await stage.failure(client.defineProfile(GOOD_PROFILE))).toMatchObject({ kind: 'unavailable' })
    const { profileUuid } = await client.defineProfile(GOOD_PROFILE)
    ade.script('/profile/devices', 'lost')
    expect(await stage.failure(client.assignProfile(profileUuid, ['A']))).toMatchObject({
      kind: 'unavailable',
    })
    await client.assignProfile(profileUuid, ['A'])
    ade.clientDied()
    await client.assignProfile(profileUuid, ['A'])
    expect(ade.violations).toEqual([])
    await client.assignProfile(profileUuid, ['A'])
    await client.defineProfile({ url: GOOD_PROFILE.url, profile_name: GOOD_PROFILE.profile_name })
    expect(stage.kinds()).toEqual(['assignment_repeated', 'profile_repeated'])
  })

  test('serial numbers fail, are throttled, and must not come back too early', async () => {
    const { client, ade, clock } = stage
    ade.portal.addDevices(['A', 'B'], 'phones')
    const { profileUuid } = await client.defineProfile(GOOD_PROFILE)
    ade.scriptSerial('A', 'FAILED', 'THROTTLED', 'THROTTLED')
    ade.throttleFor(90)
    const assign = () => client.assignProfile(profileUuid, ['A'])
    expect(await assign()).toMatchObject({
      devices: new Map([['A', { result: 'FAILED', text: 'FAILED' }]]),
    })
    expect(await assign()).toMatchObject({
      devices: new Map([['A', { result: 'THROTTLED', text: 'THROTTLED' }]]),
    })
    clock.advance(89_000)
    await assign()
    expect(stage.kinds()).toEqual(['called_too_early'])
    clock.advance(91_000)
    await assign()
    expect(stage.ade.violations).toHaveLength(1)
  })

  test('THROTTLED and retry_after_seconds are for newer clients', async () => {
    stage.ade.portal.addDevices(['A'], 'phones')
    const { profileUuid } = await stage.client.defineProfile(GOOD_PROFILE)
    const assign = async (version: number) => {
      stage.ade.scriptSerial('A', 'THROTTLED')
      return callAs(version, 'PUT', '/profile/devices', { profile_uuid: profileUuid, devices: ['A'] })
    }
    expect(await assign(8)).toMatchObject({ devices: { A: 'FAILED' } })
    expect(await assign(9)).toEqual({ profile_uuid: profileUuid, devices: { A: 'THROTTLED' } })
    expect(await assign(10)).toMatchObject({ devices: { A: 'THROTTLED' }, retry_after_seconds: 60 })
  })

  test('what a server may not do', async () => {
    const { client, ade } = stage
    expect(await stage.failure(client.assignProfile('0'.repeat(32), ['A']))).toMatchObject({
      kind: 'profile_unknown',
    })
    expect(await stage.failure(client.removeProfile([]))).toMatchObject({ appleCode: 'DEVICE_ID_REQUIRED' })
    const many = Array.from({ length: 1001 }, (_, at) => `S${at}`)
    await callAs(10, 'POST', '/devices', { devices: [...many, 'S1'] })
    await callAs(3, 'GET', '/account')
    expect(stage.kinds()).toEqual([
      ...['profile_unknown', 'body_invalid', 'too_many_serials', 'serial_twice', 'wrong_protocol_version'],
    ])
    expect(ade.calls.at(-1)).toMatchObject({ method: 'GET', path: '/account', server: 'phones', status: 200 })
  })

  test('a file that is no certificate leaves no server behind, and a name is given once', async () => {
    const { portal, url } = stage.ade
    const certificatePem = stage.certificatePem
    const broken = certificatePem.replace(/\n[A-Za-z0-9+/=]{20}/, '\nAAAAAAAAAAAAAAAAAAAA')
    const key = certificatePem.replaceAll('CERTIFICATE', 'PRIVATE KEY')
    for (const pem of ['', 'hello', broken, key, certificatePem.slice(0, 200)]) {
      expect(() => portal.addServer({ name: 'pads', certificatePem: pem })).toThrow(RangeError)
      expect(() => portal.renew('phones', { certificatePem: pem })).toThrow(RangeError)
    }
    expect(() => portal.addDevices(['A'], 'pads')).toThrow('the portal has no server pads')
    expect(await stage.client.account()).toMatchObject({ serverName: 'phones' })
    expect(() => portal.addServer({ name: 'phones', certificatePem })).toThrow('has a server phones already')
    const post = (name: string, body: string) =>
      fetch(`${url}/portal/servers?name=${name}`, { method: 'POST', body })
    expect((await post('pads', 'hello')).status).toBe(422)
    expect((await post('phones', certificatePem)).status).toBe(422)
    expect((await post('pads', certificatePem)).status).toBe(200)
    portal.removeServer('pads')
    expect((await post('pads', certificatePem)).status).toBe(200)
  })

  test('a device of another server is out of reach; a disowned one is gone', async () => {
    const { client, ade } = stage
    const p7m = ade.portal.addServer({
      name: 'pads',
      certificatePem: stage.certificatePem,
      cipher: 'aes-256-cbc',
    })
    const other = await stage.clientFor(p7m)
    ade.portal.addDevices(['A'], 'phones')
    expect((await other.disown(['A'])).get('A')).toMatchObject({ result: 'NOT_ACCESSIBLE' })
    expect((await client.disown(['A'])).get('A')).toMatchObject({ result: 'SUCCESS' })
    expect(() => ade.device('A')).toThrow('the organisation has no device A')
  })
})
