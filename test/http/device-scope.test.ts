import type { FastifyPluginAsync } from 'fastify'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { httpWorld } from '../support/http-world.ts'

const device: FastifyPluginAsync = async (app) => {
  app.put('/mdm/connect', { config: { largeBodies: true } }, async (request) => {
    const body = request.body as Buffer
    return `${Buffer.isBuffer(body)} ${body.toString('hex')}`
  })
  app.put('/mdm/throw/:what', async (request) => {
    const { what } = request.params as { what: string }
    if (what === 'bug') throw new Error('a secret of the inside')
    throw new AppError(what as 'internal')
  })
  app.put('/mdm/unauthorized', (_request, reply) =>
    reply.code(401).header('www-authenticate', 'Basic').send('no'),
  )
  app.get('/scep', async () => 'caps')
}

/** Sends raw text to a listener and reads until it closes. */
function raw(address: string, ...parts: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
    parts.forEach((part) => socket.write(part, 'latin1'))
  })
}

describe('bodies', () => {
  test.each([
    ['its own', 'application/x-apple-aspen-mdm'],
    ['a JSON', 'application/json'],
    ['an unknown', 'x/y; z="ä"'],
    ['no', undefined],
  ])('are raw bytes with %s content type', async (_, type) => {
    const { http } = await httpWorld({ scopes: { device } })
    const answer = await http.main.inject({
      method: 'PUT',
      url: '/mdm/connect',
      headers: type === undefined ? {} : { 'content-type': type },
      payload: Buffer.from('{"__proto__"\xff', 'latin1'),
    })
    expect([answer.statusCode, answer.body]).toEqual([200, 'true 7b225f5f70726f746f5f5f22ff'])
  })

  test('none is an empty one', async () => {
    const { http } = await httpWorld({ scopes: { device } })
    expect((await http.main.inject({ method: 'PUT', url: '/mdm/connect' })).body).toBe('true ')
  })

  test('a content type that is none does not keep a body from being heard', async () => {
    const { http } = await httpWorld({ scopes: { device } })
    const odd = [
      ...['nonsense', 'a/', ';;', 'text/xml; charset', `a/${'b'.repeat(60_000)}`, 'a/b c/d'],
      ...[
        `a/b${';=='.repeat(40)};x`,
        `a/b${' '.repeat(60_000)}x`,
        `${' '.repeat(60_000)}a/b;`,
        `a/b;${'x="'.repeat(20_000)}`,
      ],
    ]
    for (const type of odd) {
      const headers = { 'content-type': type }
      const answer = await http.main.inject({ method: 'PUT', url: '/mdm/connect', headers, payload: 'x' })
      expect([type, answer.statusCode, answer.body]).toEqual([type, 200, 'true 78'])
    }
  })
})

describe('refusals', () => {
  test.each([
    ['message_invalid', 400],
    ['unauthenticated', 403],
    ['forbidden', 403],
    ['not_found', 404],
    ['conflict', 400],
    ['command_invalid', 400],
    ['database_unavailable', 503],
    ['overloaded', 503],
    ['internal', 500],
  ])('%s is a plain %i', async (code, status) => {
    const { http, lines } = await httpWorld({ scopes: { device } })
    const answer = await http.main.inject({ method: 'PUT', url: `/mdm/throw/${code}` })
    expect([answer.statusCode, answer.body]).toEqual([status, `${code}\n`])
    expect(answer.headers['www-authenticate']).toBeUndefined()
    // That the database is away is told once, by who notices it.
    if (code === 'database_unavailable') expect(lines).toEqual([])
    else
      expect(lines.at(-1)).toMatchObject({ event: 'http.request', reason: code, route: '/mdm/throw/:what' })
  })

  test('a bug is a 500 that tells nothing; the log has the stack', async () => {
    const { http, lines } = await httpWorld({ scopes: { device } })
    const answer = await http.main.inject({ method: 'PUT', url: '/mdm/throw/bug' })
    expect([answer.statusCode, answer.body]).toEqual([500, 'internal\n'])
    expect(lines.at(-1)).toMatchObject({ level: 'error', err: { message: 'a secret of the inside' } })
  })

  test('a route that answers 401 by mistake answers 403', async () => {
    const { http, lines } = await httpWorld({ scopes: { device } })
    const answer = await http.main.inject({ method: 'PUT', url: '/mdm/unauthorized' })
    expect(answer.statusCode).toBe(403)
    expect(answer.headers['www-authenticate']).toBeUndefined()
    expect(lines).toContainEqual(expect.objectContaining({ event: 'http.unauthorized_prevented' }))
  })

  test.each([
    ['GET', '/mdm/connect', 405, 'PUT'],
    ['POST', '/scep', 405, 'GET, HEAD'],
    ['PUT', '/mdm/other', 404, undefined],
    ['GET', '/mdm/connect/', 405, 'PUT'],
    ['PUT', '/%zz', 400, undefined],
    ['PUT', '/mdm/%ff', 400, undefined],
  ])('%s %s is an empty %i', async (method, url, status, allow) => {
    const { http, lines } = await httpWorld({ scopes: { device } })
    const answer = await http.main.inject({ method: method as 'GET', url, payload: '{' })
    expect([answer.statusCode, answer.body, answer.headers.allow]).toEqual([status, '', allow])
    expect(lines.at(-1)).toMatchObject(
      status === 400
        ? { event: 'http.bad_request', reason: 'bad_url' }
        : { event: 'http.unknown_route', status },
    )
  })
})

describe('on the wire', () => {
  const start = async (options: Parameters<typeof httpWorld>[0] = {}) => {
    const world = await httpWorld({ scopes: { device }, ...options })
    return { ...world, address: (await world.http.listen()).main }
  }

  test.each([
    ['no HTTP at all', ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n']],
    ['a length that is no number', ['PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\nab']],
    [
      'two lengths',
      ['PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    ],
    [
      'a length and chunks',
      [
        'PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
    ],
    ['a broken chunk', ['PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n']],
    ['no host', ['PUT /mdm/connect HTTP/1.1\r\nConnection: close\r\n\r\n']],
  ])('%s is an empty 400 and the end', async (_, parts) => {
    const { address } = await start()
    const answer = await raw(address, ...parts)
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(answer.endsWith('\r\n\r\n')).toBe(true)
    expect(answer).not.toMatch(/json|www-authenticate/i)
  })

  test('too large a header is a 431', async () => {
    const { address, lines } = await start()
    const answer = await raw(
      address,
      `PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
    expect(lines).toContainEqual(
      expect.objectContaining({ event: 'http.bad_request', reason: 'HPE_HEADER_OVERFLOW' }),
    )
  })

  test('a Mdm-Signature of 30 KB is not too large', async () => {
    const { address } = await start()
    const header = `Mdm-Signature: ${'a'.repeat(30_000)}`
    const answer = await raw(
      address,
      `PUT /mdm/connect HTTP/1.1\r\nHost: a\r\n${header}\r\nConnection: close\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  test.each([
    ['headers that do not come', ['PUT /mdm/connect HTTP/1.1\r\nHost: a\r\n']],
    [
      'a body shorter than it says',
      ['PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc'],
    ],
  ])('%s end in a 408, while others are served', async (_, parts) => {
    const { address } = await start({ timeouts: { headers: 300, request: 600, check: 50 } })
    const slow = raw(address, ...parts)
    // Again, as on a busy machine even this one may take as long as the limit is.
    await expect
      .poll(() => raw(address, 'GET /scep HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))
      .toMatch(/^HTTP\/1\.1 200 [\s\S]*caps$/)
    expect(await slow).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/)
  })

  test('a body that breaks off changes nothing and is logged', async () => {
    const { address, lines } = await start()
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(address).port), '127.0.0.1', () => {
        socket.write('PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc', () =>
          socket.resetAndDestroy(),
        )
      })
      socket.on('close', () => resolve())
    })
    await expect
      .poll(() => lines)
      .toContainEqual(
        expect.objectContaining({ event: 'http.aborted', reason: 'invalid_request', route: '/mdm/connect' }),
      )
  })

  test.each([
    ['PUT', '/mdm/connect/'],
    ['PUT', '//mdm//connect'],
    ['PUT', '/mdm/%63onnect'],
    ['GET', '/scep/'],
    ['GET', `/scep?${'a=b&'.repeat(5_000)}operation=x`],
  ])('%s %s is taken for what it means', async (method, url) => {
    const { http } = await httpWorld({ scopes: { device } })
    const answer = await http.main.inject({ method: method === 'PUT' ? 'PUT' : 'GET', url })
    expect(answer.statusCode).toBe(200)
  })

  test.each([
    ['HTTP/1.0', 'PUT /mdm/connect HTTP/1.0\r\nContent-Length: 1\r\n\r\nx'],
    [
      'Expect',
      'PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx',
    ],
    [
      'chunks',
      'PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    ],
    [
      'identity',
      'PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Encoding: identity\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx',
    ],
  ])('%s is understood', async (_, request) => {
    const { address } = await start()
    expect(await raw(address, request)).toMatch(/HTTP\/1\.1 200 [\s\S]*true 78$/)
  })

  test.each([
    ['Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n', 415],
    ['Transfer-Encoding: gzip', 'Transfer-Encoding: gzip\r\n\r\nx', 415],
    ['a bad expectation', 'Expect: tea\r\nContent-Length: 1\r\n\r\nx', 417],
    ['Content-Encoding: gzip', 'Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx', 415],
    ['Content-Encoding: identity, br', 'Content-Encoding: identity, br\r\nContent-Length: 1\r\n\r\nx', 415],
  ])('%s is refused', async (_, rest, status) => {
    const { address } = await start()
    const answer = await raw(address, `PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${rest}`)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  test('20 MB are refused before they have come', async () => {
    const { address } = await start()
    const head = 'PUT /mdm/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n'
    expect(await raw(address, head)).toMatch(
      /^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*payload_too_large\n$/,
    )
  })
})

describe('the log', () => {
  test('a success is a line of level debug with the pattern of the route, and counts', async () => {
    const { http, lines } = await httpWorld({ scopes: { device } })
    await http.main.inject({ method: 'PUT', url: '/mdm/connect?key=secret', payload: 'x' })
    expect(lines.at(-1)).toMatchObject({
      level: 'debug',
      event: 'http.request',
      request_id: expect.stringMatching(/^[\w-]+$/),
      duration_ms: expect.any(Number),
      method: 'PUT',
      route: '/mdm/connect',
      status: 200,
    })
    const metrics = await http.main.inject('/metrics')
    expect(metrics.body).toContain(
      'firstboot_request_duration_seconds_count{scope="device",route="/mdm/connect",status="200"} 1',
    )
  })
})
