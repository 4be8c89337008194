import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { basic, callNanomdm, plist, type NanomdmCall } from '../support/nanomdm-caller.ts'

describeEachEngine("Callers of NanoMDM's API", (database) => {
  let world: TestApp
  let device: Device
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    device = await world.enrolled()
    await world.introduced(device)
  })
  afterAll(() => world.close())

  const call: NanomdmCall = (...given) => callNanomdm(world, ...given)
  const id = () => device.facts.udid

  test('takes as many ids in one path as the headers have room for', async () => {
    const others = Array.from({ length: 1_600 }, () => randomUUID().toUpperCase())
    const ids = [...others, id()].join(',')
    expect(ids.length).toBeGreaterThan(59_000)
    const uuid = randomUUID()
    const queued = await call('PUT', `/v1/enqueue/${ids}?nopush=1`, plist(uuid))
    expect([queued.status, Object.keys(queued.body.status).length]).toEqual([207, 1_600])
    expect((await call('GET', `/v1/queue/${id()}`)).body.commands).toMatchObject([{ command_uuid: uuid }])
    const pushed = await call('POST', `/v1/push/${ids}`)
    expect([pushed.status, Object.keys(pushed.body.status).length]).toEqual([207, 1_601])
    expect((await call('DELETE', `/v1/queue/${ids}`)).status).toBe(204)
    expect((await call('GET', `/v1/queue/${id()}`)).body.commands).toEqual([])
    // Elsewhere what is so long names nothing.
    expect((await call('GET', `/v1/queue/${ids}`)).status).toBe(404)
    expect((await world.api('GET', `/devices/${ids}`)).status).toBe(404)
  })

  test('an empty list and what a caller does wrong are no errors of ours', async () => {
    const before = world.logText().length
    for (const path of ['/v1/push/', '/v1/push/,', '/v1/push/,,'])
      expect(await call('POST', path)).toMatchObject({
        status: 500,
        body: { push_error: expect.any(String) },
      })
    expect(await call('PUT', '/v1/enqueue/,', plist(randomUUID()))).toMatchObject({
      status: 500,
      body: { command_error: expect.any(String) },
    })
    expect((await call('DELETE', '/v1/queue/,')).status).toBe(400)
    await call('PUT', `/v1/enqueue/${id()}`, 'nonsense')
    await call('PUT', '/v1/enqueue/nobody', plist(randomUUID()))
    await call('GET', '/v1/push/nobody')
    const levels = world
      .logText()
      .slice(before)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter((line) => line.route?.startsWith('/v1/'))
      .map(({ level, status }) => `${level} ${status}`)
    expect(new Set(levels)).toEqual(new Set(['info 500', 'info 400']))
  })

  test('push certificates and UnlockTokens are for admins, and each reading is told', async () => {
    const { body: operator } = await world.api('POST', '/api-tokens', { name: 'workflow', role: 'operator' })
    const headers = { authorization: basic(operator.secret) }
    const certificate = await world.apns.certificates.pushCertificate(TOPIC)
    const pem = certificate.certificate + certificate.key
    expect(await call('PUT', '/v1/pushcert', pem, headers)).toMatchObject({
      status: 403,
      body: { error: expect.stringContaining('admin') },
    })
    expect((await call('GET', `/v1/pushcert?topic=${TOPIC}`, undefined, headers)).status).toBe(200)
    const ask = (include: boolean, as = headers) =>
      call(
        'POST',
        '/v1/enrollments/query',
        JSON.stringify({ options: { include_unlock_token: include } }),
        as,
      )
    const readings = async () =>
      (await world.api('GET', '/events?type=unlock_token.read')).body.items as Record<string, unknown>[]
    expect((await ask(true)).status).toBe(403)
    const plain = await ask(false)
    expect(plain.status).toBe(200)
    expect(plain.text).not.toContain('unlock_token"')
    await world.pass(2_000)
    const before = (await readings()).length

    const { body: admin } = await world.api('POST', '/api-tokens', { name: 'ada', role: 'admin' })
    const told = await ask(true, { authorization: basic(admin.secret) })
    const holders = told.body.enrollments.filter(
      (each: { device: { unlock_token?: string } }) => each.device.unlock_token,
    )
    expect(holders.length).toBeGreaterThan(0)
    await expect
      .poll(async () => {
        await world.pass(2_000)
        return (await readings()).length - before
      })
      .toBe(holders.length)
    const events = (await readings()).slice(before)
    expect(events.map(({ enrollment_id }) => enrollment_id).toSorted()).toEqual(
      holders.map((each: { id: string }) => each.id).toSorted(),
    )
    expect(events[0]).toMatchObject({ by: { kind: 'api_token', id: admin.id, name: 'ada' }, via: 'nanomdm' })
    expect(JSON.stringify(events)).not.toContain(holders[0].device.unlock_token)
  })

  test('pages of other sites may ask for nothing, whatever password the browser knows', async () => {
    const ask = async (headers: Record<string, string>, path = `/v1/queue/${id()}`) => {
      const answer = await fetch(`${world.url}${path}`, {
        headers: { authorization: basic(ADMIN_TOKEN), ...headers },
      })
      return answer.status
    }
    for (const headers of [
      ...[
        'https://evil.example',
        'null',
        '',
        'http://127.0.0.1',
        `${world.url}.evil.example`,
        `${world.url}/`,
      ],
      `${world.url}, ${world.url}`,
    ].map((origin) => ({ origin })))
      expect([headers, await ask(headers)]).toEqual([headers, 403])
    for (const site of ['cross-site', 'same-site', 'other', ''])
      expect([site, await ask({ 'sec-fetch-site': site })]).toEqual([site, 403])
    expect(await ask({ origin: world.url, 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await ask({ origin: 'null' }, '/version')).toBe(403)
    expect(
      (await fetch(`${world.url}/version`, { headers: { origin: 'null' } })).headers.get('www-authenticate'),
    ).toBeNull()
    for (const headers of [
      { origin: world.url },
      { origin: world.url, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      {},
    ])
      expect([headers, await ask(headers)]).toEqual([headers, 200])
  })

  test('odd queries are refused, and none with 5xx', async () => {
    const query = (body: string, parameters = '') => call('POST', `/v1/enrollments/query${parameters}`, body)
    for (const body of [
      ...[
        '{"filter":{"ids":["a\\u0000"]}}',
        '{"filter":{"serials":["\\ud800"]}}',
        '{"\\u0000":1}',
        '7',
        'null',
      ],
      ...['['.repeat(100_000), '{"__proto__":{}}', `{"filter":{"ids":[${'"a",'.repeat(60_000)}"a"]}}`],
      ...['{"filter":{"enabled":"yes"}}', '{"options":{"include_unlock_token":1}}'],
    ])
      expect([body.slice(0, 40), Math.trunc((await query(body)).status / 100)]).toEqual([
        body.slice(0, 40),
        4,
      ])
    for (const parameters of [
      ...['?limit=-1', '?limit=1e3', '?offset=99999999999999999', '?cursor=x', '?limit=%00', '?limit=1,2'],
      ...['?offset=-1', '?limit=0x10'],
    ])
      expect([parameters, (await query('{}', parameters)).status]).toEqual([parameters, 400])
    expect((await query('{}', '?limit=1&limit=x&other=1&offset=999999999999999')).status).toBe(200)
    expect((await call('GET', '/v1/pushcert?topic=a&topic=b')).status).toBe(404)
    expect((await call('GET', '/v1/queue/a%00')).status).toBe(400)
    expect((await query(' '.repeat(1024 * 1024 + 1))).status).toBe(413)
  })
})
