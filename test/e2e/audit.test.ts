import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../support/app.ts'
import { testDatabase, type TestDatabase } from '../support/database.ts'

/** A parsed answer, whose shape the test asserts. */
// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

describe('the audit trail of a server', () => {
  let database: TestDatabase
  let world: TestApp
  let viewer: { id: string; secret: string }
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startTestApp({ db: database })
    viewer = (await world.api('POST', '/api-tokens', { name: 'looks', role: 'viewer' })).body
  })
  afterAll(async () => {
    await world.close()
    await database.close()
  })

  const newest = async (query = ''): Promise<Json[]> => (await world.api('GET', `/audit?${query}`)).body.items
  /** Lets time pass, for jobs that come every so often, until it is so. */
  async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
    for (let round = 0; !(await isSo()); round += 1) {
      if (round === 100) throw new Error('it never came')
      await world.pass(120_000)
    }
  }
  const count = async () => (await newest('limit=1000')).length
  async function as(token: string, method: string, path: string, body?: unknown, headers = {}) {
    const response = await fetch(`${world.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, requestId: response.headers.get('x-request-id') }
  }

  test('tells of a thing what a viewer was told of it before and after', async () => {
    const { body: ada } = await world.api('POST', '/users', {
      user_name: 'ada',
      password: 'correct horse battery',
    })
    await world.api('PATCH', `/users/${ada.id}`, { device_limit: 3, password: 'another horse battery' })
    await world.api('PATCH', `/users/${ada.id}`, { device_limit: 3 })
    await world.api('DELETE', `/users/${ada.id}`)
    const object = { kind: 'users', id: ada.id }
    const entries = await newest(`object=${ada.id}`)
    expect(entries).toMatchObject([
      { action: 'DELETE /users/{id}', object, before: { user_name: 'ada' }, after: null },
      { action: 'PATCH /users/{id}', object, before: null, after: null },
      { action: 'PATCH /users/{id}', object, before: { device_limit: null }, after: { device_limit: 3 } },
      { action: 'POST /users', object, before: null, after: { user_name: 'ada' }, events: ['user.created'] },
    ])
    for (const { actor, via, address, outcome } of entries)
      expect({ actor, via, address, outcome }).toMatchObject({
        ...{ actor: { kind: 'api_token', name: 'First admin token' }, via: 'api' },
        ...{ address: '127.0.0.1', outcome: 'done' },
      })
    await world.api('PATCH', '/settings', { event_days: 100 })
    expect((await newest('limit=1'))[0]).toMatchObject({
      ...{ object: { kind: 'settings', id: null } },
      ...{ before: { event_days: 30 }, after: { event_days: 100 } },
    })
  })

  test('holds no secret, also none that is shown once', async () => {
    const { body: token } = await world.api('POST', '/api-tokens', { name: 'made', role: 'viewer' })
    const { body: link } = await world.api('POST', '/enrollment-links', { uses: 1 })
    await world.api('PUT', '/secrets/psk', { value: 'sesame-open' })
    const text = JSON.stringify(await newest('limit=1000'))
    for (const secret of [token.secret, link.url, 'sesame-open', 'horse battery'])
      expect(text).not.toContain(secret)
    expect(await newest(`object=${token.id}`)).toMatchObject([{ after: { name: 'made', role: 'viewer' } }])
  })

  test('tells of what was refused, and why', async () => {
    const refused = await as(viewer.secret, 'POST', '/api/v1/users', { user_name: 'eve' })
    expect(refused.status).toBe(403)
    expect((await newest('limit=1'))[0]).toMatchObject({
      ...{ actor: { id: viewer.id, name: 'looks' }, action: 'POST /users', object: { kind: 'users' } },
      ...{ outcome: 'refused', reason: 'forbidden', before: null, after: null, events: [] },
      request_id: refused.requestId,
    })
    const cases: [string, string, unknown, Record<string, string>, string][] = [
      ['POST', '/users', { nonsense: 1 }, {}, 'invalid_request'],
      ['DELETE', '/users/nobody', undefined, {}, 'not_found'],
      ['PATCH', '/settings', { event_days: 7 }, { 'if-match': '"0"' }, 'precondition_failed'],
      ['POST', '/users', { user_name: 'x' }, { 'content-type': 'text/html' }, 'unsupported_media_type'],
    ]
    for (const [method, path, body, headers, reason] of cases) {
      await as(ADMIN_TOKEN, method, `/api/v1${path}`, body, headers)
      expect((await newest('limit=1'))[0]).toMatchObject({
        outcome: 'refused',
        reason,
        before: null,
        after: null,
      })
    }
    const before = await count()
    // Reading leaves nothing, unless it was refused.
    await as(viewer.secret, 'GET', '/api/v1/users')
    await as(viewer.secret, 'GET', '/api/v1/users/nobody')
    expect(await count()).toBe(before)
  })

  test('strangers leave nothing but a count; who has an old token is named', async () => {
    const expires_at = new Date(world.clock.now().getTime() + 60_000).toISOString()
    const { body: old } = await world.api('POST', '/api-tokens', { name: 'old', role: 'admin', expires_at })
    await world.pass(61_000)
    const before = await count()
    for (let at = 0; at < 5; at += 1) {
      await as('nobody', 'DELETE', '/api/v1/users/x')
      await as(old.secret, 'POST', '/api/v1/users', {})
    }
    await fetch(`${world.url}/api/v1/users`)
    await fetch(`${world.url}/v1/enqueue/x`, {
      method: 'PUT',
      headers: { authorization: 'Basic bmFub21kbTp4' },
    })
    expect(await count()).toBe(before)
    await until(async () => (await count()) > before)
    const entries = await newest('action=authenticate')
    expect(entries.map(({ actor, after }) => [actor?.id ?? null, after.calls]).toSorted()).toEqual(
      [
        [null, 7],
        [old.id, 5],
      ].toSorted(),
    )
    expect(await count()).toBe(before + 2)
  })

  test('a POST that is answered again leaves no second entry; a dry run and a push leave theirs', async () => {
    const headers = { 'idempotency-key': 'once' }
    const before = await count()
    for (let at = 0; at < 2; at += 1)
      expect((await as(ADMIN_TOKEN, 'POST', '/api/v1/users', { user_name: 'once' }, headers)).status).toBe(
        201,
      )
    expect(await count()).toBe(before + 1)
    await world.api('POST', '/groups/preview', { rule: { fact: 'supervised', op: 'eq', value: true } })
    expect((await newest('limit=1'))[0]).toMatchObject({ action: 'POST /groups/preview', events: [] })
  })

  test("tells of NanoMDM's API and of the command line", async () => {
    const device = await world.enrolled()
    const basic = Buffer.from(`nanomdm:${ADMIN_TOKEN}`).toString('base64')
    const plist =
      '<plist version="1.0"><dict><key>CommandUUID</key><string>c-1</string><key>Command</key><dict>' +
      '<key>RequestType</key><string>ProfileList</string></dict></dict></plist>'
    await fetch(`${world.url}/v1/enqueue/${device.facts.udid}`, {
      ...{ method: 'PUT', headers: { authorization: `Basic ${basic}` }, body: plist },
    })
    expect((await newest('limit=1'))[0]).toMatchObject({
      ...{ action: 'PUT /v1/enqueue/{ids}', via: 'nanomdm', events: ['command.queued'] },
      object: { kind: 'enqueue', id: device.facts.udid },
    })
    await as(ADMIN_TOKEN, 'POST', '/api/v1/users', { user_name: 'cli' }, { 'user-agent': 'firstboot-cli' })
    expect((await newest('limit=1'))[0]).toMatchObject({ via: 'cli' })
  })

  test('what the server looks up for it is neither logged nor told', async () => {
    expect(world.logText()).not.toContain('"actor_id":"audit"')
    expect((await newest('actor=audit')).length).toBe(0)
  })

  test('can be checked by anybody who may read, here and elsewhere', async () => {
    const { body: verdict } = await world.api('GET', '/audit/check')
    expect(verdict).toMatchObject({ ok: true, first: 1, faults: [] })
    const { number, hash } = verdict.head
    expect((await world.api('GET', `/audit/check?anchor=${number}:${hash}`)).body.ok).toBe(true)
    expect((await world.api('GET', `/audit/check?anchor=${number + 1}:${hash}`)).body.ok).toBe(false)
    expect((await world.api('GET', '/audit/check?anchor=1:x')).status).toBe(400)
    expect((await world.api('GET', '/audit?cursor=x')).status).toBe(400)
    await until(() => world.logText().includes('"event":"audit.anchored"'))
  })
})
