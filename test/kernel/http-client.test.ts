import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { createHttpClient } from '../../src/kernel/http-client.ts'
import type { HttpClient, HttpClientOptions } from '../../src/kernel/http-client.ts'
import { UpstreamError } from '../../src/kernel/upstream-error.ts'
import { createLeaf, keyToPem, writePem } from '../../src/protocol/x509/index.ts'
import { freePort } from '../../src/simulator/index.ts'
import { TEST_VALIDITY, testCa } from '../support/identities.ts'
import { testKey } from '../support/keys.ts'
import { manualClock } from '../support/manual-clock.ts'

const closing: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const serve = async (listener: RequestListener) => `http://127.0.0.1:${await listen(createServer(listener))}`

function client(options: Partial<HttpClientOptions> = {}): HttpClient {
  const http = createHttpClient({
    timeoutMs: 10_000,
    maxBytes: 1024 * 1024,
    userAgent: 'firstboot-test',
    clock: systemClock,
    ...options,
  })
  closing.push(() => http.close())
  return http
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof UpstreamError)) throw new Error('no UpstreamError', { cause: error })
  return `${error.code} ${error.failure}: ${error.message}`
}

describe('requests and answers', () => {
  test('method, path, headers and body arrive; the answer comes back whole', async () => {
    const url = await serve((request, reply) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        reply.writeHead(207, { 'X-Thing': 'yes' })
        const { method, url: path, headers } = request
        reply.end(
          JSON.stringify([
            method,
            path,
            headers['user-agent'],
            headers['content-length'],
            Buffer.concat(chunks).toString(),
          ]),
        )
      })
    })
    const answer = await client().request({ method: 'PUT', url: `${url}/a?b=c`, body: 'ü' })
    expect(answer.status).toBe(207)
    expect(answer.headers['x-thing']).toBe('yes')
    expect(JSON.parse(answer.body.toString())).toEqual(['PUT', '/a?b=c', 'firstboot-test', '2', 'ü'])
  })

  test('a redirect is an answer, not followed', async () => {
    let asked = 0
    const url = await serve((_, reply) => {
      asked++
      reply.writeHead(302, { location: '/elsewhere' }).end()
    })
    expect((await client().request({ method: 'GET', url })).status).toBe(302)
    expect(asked).toBe(1)
  })

  test('connections are kept', async () => {
    const ports = new Set<number | undefined>()
    const url = await serve((request, reply) => {
      ports.add(request.socket.remotePort)
      reply.end('ok')
    })
    const http = client()
    for (let round = 0; round < 3; round++) await http.request({ method: 'GET', url })
    expect(ports.size).toBe(1)
  })

  test('a kept connection that died is replaced for what changes nothing', async () => {
    const asked: string[] = []
    const url = await serve((request, reply) => {
      asked.push(request.method ?? '')
      if (asked.length === 2 || request.method !== 'GET') request.socket.destroy()
      else reply.end('ok')
    })
    const http = client()
    await http.request({ method: 'GET', url })
    expect((await http.request({ method: 'GET', url })).body.toString()).toBe('ok')
    expect(asked.splice(0)).toEqual(['GET', 'GET', 'GET'])
    for (const method of ['POST', 'PUT', 'DELETE'] as const) {
      await http.request({ method: 'GET', url })
      expect(await failureOf(http.request({ method, url, body: 'x' }))).toContain('connection')
      expect(asked.splice(0)).toEqual(['GET', method])
    }
  })
})

describe('what is refused', () => {
  test.each([
    ['http://example.com/', 'http://example.com may not be called'],
    ['http://127.0.0.1.example.com/', 'may not be called'],
    ['ftp://127.0.0.1/', 'may not be called'],
    ['no url', 'this is no URL'],
    ['https://user:hunter2@example.com/', 'must not hold a user name or password'],
  ])('%s', async (url, reason) => {
    const failure = await failureOf(client().request({ method: 'GET', url }))
    expect(failure).toMatch(/^upstream_refused not_allowed: /)
    expect(failure).toContain(reason)
    expect(failure).not.toContain('hunter2')
  })
})

describe('what goes wrong', () => {
  test('an answer of 50 MB ends at the limit', async () => {
    let sent = 0
    const url = await serve((_, reply) => {
      const more = () => {
        while (sent < 50 * 1024 * 1024 && !reply.destroyed) {
          sent += 65_536
          if (!reply.write(Buffer.alloc(65_536))) return void reply.once('drain', more)
        }
        reply.end()
      }
      more()
    })
    const failure = await failureOf(client({ maxBytes: 100_000 }).request({ method: 'GET', url }))
    expect(failure).toMatch(/^upstream_unavailable too_large: .* has answered with more than 100000 bytes$/)
    expect(sent).toBeLessThan(20 * 1024 * 1024)
  })

  test('the deadline is for everything: no answer, or one that drips', async () => {
    const clock = manualClock()
    const http = client({ clock, timeoutMs: 600_000 })
    const silent = await serve(() => clock.advance(600_001))
    expect(await failureOf(http.request({ method: 'GET', url: silent }))).toMatch(
      /timeout: .* has not answered within 600 s/,
    )
    const dripping = await serve((_, reply) => {
      reply.write('half', () => clock.advance(600_001))
    })
    expect(await failureOf(http.request({ method: 'GET', url: dripping }))).toContain('timeout')
  })

  test('a signal ends a request', async () => {
    const controller = new AbortController()
    const url = await serve(() => controller.abort())
    const http = client()
    const { signal } = controller
    expect(await failureOf(http.request({ method: 'GET', url, signal }))).toContain('aborted')
    expect(await failureOf(http.request({ method: 'GET', url, signal }))).toContain('aborted')
  })

  test('a body that breaks off', async () => {
    const url = await serve((_, reply) => {
      reply.writeHead(200, { 'content-length': '100' })
      reply.write('half', () => reply.destroy())
    })
    expect(await failureOf(client().request({ method: 'GET', url }))).toMatch(/connection: .* was cut/)
  })

  test('nobody there, no such name, and no HTTP', async () => {
    const http = client()
    const port = await freePort()
    expect(await failureOf(http.request({ method: 'GET', url: `http://127.0.0.1:${port}` }))).toContain(
      'connection: 127.0.0.1',
    )
    expect(await failureOf(http.request({ method: 'GET', url: 'https://nothing.invalid/' }))).toContain(
      'unknown_host: the name of nothing.invalid',
    )
    const noise = createTcpServer((socket) => socket.end('220 mail.example.com ESMTP\r\n'))
    await new Promise<void>((resolve) => noise.listen(0, '127.0.0.1', resolve))
    closing.push(() => noise.close())
    const { port: mail } = noise.address() as AddressInfo
    expect(await failureOf(http.request({ method: 'GET', url: `http://127.0.0.1:${mail}` }))).toContain(
      'not_http',
    )
  })
})

describe('TLS', () => {
  async function secure(name: string) {
    const issuer = await testCa()
    const leaf = await createLeaf({
      subject: [['CN', name]],
      subjectAltNames: name === 'localhost' ? [{ type: 'dns', value: 'localhost' }] : [],
      issuer,
      key: testKey('device'),
      ...TEST_VALIDITY,
    })
    const options = { key: keyToPem(leaf.key), cert: writePem('CERTIFICATE', leaf.certificate.der) }
    const port = await listen(createSecureServer(options, (_, reply) => reply.end('safe')))
    return { url: `https://localhost:${port}`, caPem: writePem('CERTIFICATE', issuer.certificate.der) }
  }

  test('a CA given is trusted, besides those known anyway; others are not', async () => {
    const { url, caPem } = await secure('localhost')
    expect((await client({ caPem }).request({ method: 'GET', url })).body.toString()).toBe('safe')
    expect(await failureOf(client().request({ method: 'GET', url }))).toMatch(
      /tls: .* the CA of its certificate is not trusted/,
    )
  })

  test('a certificate for another name, and a server without TLS', async () => {
    const { url, caPem } = await secure('other')
    expect(await failureOf(client({ caPem }).request({ method: 'GET', url }))).toContain('tls: ')
    const plain = (await serve((_, reply) => reply.end())).replace('http://127.0.0.1', 'https://localhost')
    expect(await failureOf(client().request({ method: 'GET', url: plain }))).toContain('tls: ')
  })
})
