import type { FastifyPluginAsync } from 'fastify'
import { Agent, get } from 'node:http'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { TOKENS, as, httpWorld } from '../support/http-world.ts'

const plugins = {
  device: (async (app) => void app.put('/mdm', async () => 'device')) satisfies FastifyPluginAsync,
  enroll: (async (app) => void app.get('/enroll', async () => 'enroll')) satisfies FastifyPluginAsync,
  operator: (async (app) =>
    void app.get('/users', { config: { role: 'viewer' } }, async () => [])) satisfies FastifyPluginAsync,
  nanomdm: (async (app) => {
    app.get('/version', { config: { role: 'operator' } }, async () => ({ version: '1' }))
    app.put('/v1/enqueue/:ids', async (request) => (request.body as Buffer).toString())
    app.get('/v1/refused', async () => {
      throw new AppError('not_found', 'no such thing')
    })
  }) satisfies FastifyPluginAsync,
}

const nanomdm = (password: string, userName = 'nanomdm') => ({
  authorization: `Basic ${btoa(`${userName}:${password}`)}`,
})

describe('two listeners', () => {
  const operatorListener = { host: '127.0.0.1', port: 0 }

  test('keep devices and operators apart; health is on both', async () => {
    const { http } = await httpWorld({ scopes: plugins, config: { operatorListener } })
    const addresses = await http.listen()
    expect(addresses.main).not.toBe(addresses.operator)
    const status = async (listener: 'main' | 'operator', path: string, method = 'GET') =>
      (await fetch(addresses[listener] + path, { method, headers: as('admin') })).status
    for (const path of [
      '/',
      '/api',
      '/api/docs',
      '/api/v1/users',
      '/api/v1/openapi.json',
      '/metrics',
      '/version',
      '/v1/enqueue/a',
    ]) {
      expect([path, await status('main', path)]).toEqual([path, 404])
    }
    expect(await status('main', '/mdm', 'PUT')).toBe(200)
    expect(await status('main', '/enroll')).toBe(200)
    expect(await status('operator', '/mdm', 'PUT')).toBe(404)
    expect(await status('operator', '/enroll')).toBe(404)
    expect(await status('operator', '/api/v1/users')).toBe(200)
    expect(await status('operator', '/metrics')).toBe(200)
    for (const listener of ['main', 'operator'] as const) {
      expect(await status(listener, '/healthz')).toBe(200)
      expect(await status(listener, '/readyz', 'HEAD')).toBe(200)
    }
  })

  test('are one unless configured', async () => {
    const { http } = await httpWorld({ scopes: plugins })
    expect(http.operator).toBe(http.main)
    expect((await http.main.inject({ url: '/api/v1/users', headers: as('viewer') })).statusCode).toBe(200)
  })
})

describe('health', () => {
  test.each([
    ['ready', async () => [], 200],
    ['ready\nsubscription x: 1 events set aside', async () => ['subscription x: 1 events set aside'], 200],
    ['database_unavailable', () => Promise.reject(new AppError('database_unavailable')), 503],
    ['not_ready', () => Promise.reject(new Error('migrations')), 503],
  ])('/readyz says %s', async (text, ready, status) => {
    const { http } = await httpWorld({ ready })
    const answer = await http.main.inject('/readyz')
    expect([answer.statusCode, answer.body]).toEqual([status, `${text}\n`])
    expect((await http.main.inject('/healthz')).statusCode).toBe(200)
  })

  test('/readyz does not wait for a database that hangs', async () => {
    const { http, clock } = await httpWorld({ ready: () => new Promise(() => {}) })
    const answer = http.main.inject('/readyz')
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(3_000)
    expect((await answer).statusCode).toBe(503)
  })
})

describe('/metrics', () => {
  test('is open to programs of this machine, not to what a proxy passes on', async () => {
    const { http } = await httpWorld()
    const status = async (headers: Record<string, string>, remoteAddress = '127.0.0.1') =>
      (await http.operator.inject({ url: '/metrics', headers, remoteAddress })).statusCode
    expect(await status({})).toBe(200)
    expect(await status({}, '::1')).toBe(200)
    expect(await status({}, '::ffff:127.0.0.1')).toBe(200)
    expect(await status({}, '192.0.2.1')).toBe(401)
    expect(await status({ 'x-forwarded-for': '127.0.0.1' }, '192.0.2.1')).toBe(401)
    expect(await status({ 'x-forwarded-for': '192.0.2.1' })).toBe(401)
    for (const name of [
      ...['via', 'forwarded', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'],
      ...['x-forwarded-port', 'x-forwarded-server', 'X-Forwarded-Anything'],
    ])
      expect([name, await status({ [name]: '' })]).toEqual([name, 401])
    // A name that was made to lead here (DNS rebinding).
    expect(await status({ host: 'evil.example' })).toBe(401)
    for (const host of ['localhost:8080', '[::1]:8080', '127.0.0.1'])
      expect([host, await status({ host })]).toEqual([host, 200])
    expect(await status(as('viewer'), '192.0.2.1')).toBe(200)
    expect(await status({ authorization: `Basic ${btoa(`prometheus:${TOKENS.viewer}`)}` }, '192.0.2.1')).toBe(
      200,
    )
  })

  test.each([
    ['behind a proxy', { trustedProxies: ['192.0.2.7'] }, 401],
    ['on every address', { listener: { host: '0.0.0.0', port: 0 } }, 401],
    ['on every address of IPv6', { listener: { host: '::', port: 0 } }, 401],
    ['for operators on every address', { operatorListener: { host: '0.0.0.0', port: 0 } }, 401],
    [
      'for operators on loopback',
      { listener: { host: '0.0.0.0', port: 0 }, operatorListener: { host: 'localhost', port: 0 } },
      200,
    ],
    ['on loopback', { listener: { host: '127.0.0.2', port: 0 } }, 200],
  ])('a listener %s', async (_, config, expected) => {
    const { http } = await httpWorld({ config })
    const ask = async (headers: Record<string, string>) =>
      (await http.operator.inject({ url: '/metrics', headers, remoteAddress: '127.0.0.1' })).statusCode
    expect(await ask({})).toBe(expected)
    expect(await ask(as('viewer'))).toBe(200)
  })

  test('forged addresses of a trusted proxy’s client do not open it', async () => {
    const { http } = await httpWorld({ config: { trustedProxies: ['192.0.2.0/24'] } })
    const headers = { 'x-forwarded-for': '127.0.0.1' }
    const answer = await http.operator.inject({ url: '/metrics', headers, remoteAddress: '192.0.2.1' })
    expect(answer.statusCode).toBe(401)
  })
})

describe('the NanoMDM-compatible scope', () => {
  test.each([
    ['no credentials', undefined, 401],
    ['a bearer token', as('admin'), 401],
    ['another user name', nanomdm(TOKENS.admin, 'admin'), 401],
    ['another password', nanomdm('x'), 401],
    ['a viewer', nanomdm(TOKENS.viewer), 403],
    ['an operator', nanomdm(TOKENS.operator), 200],
    ['an admin', nanomdm(TOKENS.admin), 200],
  ])('with %s', async (_, headers, status) => {
    const { http } = await httpWorld({ scopes: plugins })
    const answer = await http.operator.inject({ url: '/version', headers: headers ?? {} })
    expect(answer.statusCode).toBe(status)
    expect(answer.headers['www-authenticate']).toBe(status === 401 ? 'Basic realm="nanomdm"' : undefined)
  })

  test('takes raw bodies and tells errors in its own shape', async () => {
    const { http } = await httpWorld({ scopes: plugins })
    const headers = nanomdm(TOKENS.operator)
    const put = await http.operator.inject({
      method: 'PUT',
      url: '/v1/enqueue/a',
      headers,
      payload: '<plist/>',
    })
    expect(put.body).toBe('<plist/>')
    const refused = await http.operator.inject({ url: '/v1/refused', headers })
    expect([refused.statusCode, refused.json()]).toEqual([404, { error: 'no such thing' }])
  })
})

describe('draining', () => {
  test('answers what runs, refuses what is new, and ends', async () => {
    let release = () => {}
    const running = new Promise<void>((resolve) => (release = resolve))
    let begun = () => {}
    const hasBegun = new Promise<void>((resolve) => (begun = resolve))
    const device: FastifyPluginAsync = async (app) => {
      app.get('/mdm/slow', async () => {
        begun()
        await running
        return 'done'
      })
    }
    const { http } = await httpWorld({ scopes: { device } })
    const { main } = await http.listen()
    const agent = new Agent({ keepAlive: true })
    const answer = new Promise<{ connection: string | undefined; body: string }>((resolve, reject) => {
      get(`${main}/mdm/slow`, { agent }, (response) => {
        let body = ''
        response.on('data', (chunk: Buffer) => (body += chunk.toString()))
        response.on('end', () => resolve({ connection: response.headers.connection, body }))
      }).on('error', reject)
    })
    await hasBegun
    const closed = http.close()
    await expect
      .poll(() =>
        fetch(`${main}/healthz`)
          .then(() => 'served')
          .catch(() => 'refused'),
      )
      .toBe('refused')
    release()
    expect(await answer).toEqual({ connection: 'close', body: 'done' })
    await closed
    agent.destroy()
  })

  test('cuts what does not end in time', async () => {
    const device: FastifyPluginAsync = async (app) => {
      app.get('/mdm/stuck', () => new Promise(() => {}))
    }
    const { http, clock } = await httpWorld({ scopes: { device } })
    const { main } = await http.listen()
    const answer = fetch(`${main}/mdm/stuck`).then(
      () => 'answered',
      () => 'cut',
    )
    await expect
      .poll(() => new Promise((resolve) => http.main.server.getConnections((_, n) => resolve(n))))
      .toBe(1)
    const closed = http.close(10_000)
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(10_000)
    await closed
    expect(await answer).toBe('cut')
  })
})
