import type { FastifyPluginAsync } from 'fastify'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { join } from 'node:path'
import { type SecureVersion, connect as connectTls } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectionBudget } from '../../src/http/connections.ts'
import { selfSigned } from '../support/certificates.ts'
import { httpWorld } from '../support/http-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const server = selfSigned('server.example')

const device: FastifyPluginAsync = async (app) => void app.get('/scep', async () => 'caps')

function tlsFiles() {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const tls = { certFile: join(folder.path, 'cert.pem'), keyFile: join(folder.path, 'key.pem') }
  writeFileSync(tls.certFile, server.certPem)
  writeFileSync(tls.keyFile, server.keyPem)
  return tls
}

/** A connection that says nothing by itself. */
async function silent(address: string): Promise<Socket & { gone: Promise<void> }> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.resume()
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  return Object.assign(socket, { gone })
}

/** One request on a connection; the connection stays. */
function ask(socket: Socket): Promise<string> {
  const answer = new Promise<string>((resolve) =>
    socket.once('data', (bytes) => resolve(bytes.toString('latin1').split('\r\n', 1)[0] ?? '')),
  )
  socket.write('GET /scep HTTP/1.1\r\nHost: a\r\n\r\n')
  return answer
}

describe('a TLS handshake that does not go on', () => {
  const start = async () => {
    const timeouts = { handshake: 200, headers: 200, check: 50 }
    const world = await httpWorld({ scopes: { device }, config: { tls: tlsFiles() }, timeouts })
    return { ...world, address: (await world.http.listen()).main }
  }

  test.each([
    ['not a byte', Buffer.alloc(0)],
    ['the first bytes of a hello', Buffer.from([0x16, 3, 1, 2, 0, 1])],
  ])('is ended after its time: %s', async (_, bytes) => {
    const { address } = await start()
    const socket = await silent(address)
    socket.write(bytes)
    await socket.gone
  })

  test('is ended at once when it is none', async () => {
    const { address } = await start()
    const socket = await silent(address)
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await socket.gone
  })

  test('a finished one without a request ends too', async () => {
    const { address } = await start()
    const socket = connectTls({
      port: Number(new URL(address).port),
      host: '127.0.0.1',
      rejectUnauthorized: false,
    })
    onTestFinished(() => void socket.destroy())
    socket.resume()
    await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  })
})

test('a plain connection without a byte is ended', async () => {
  const { http } = await httpWorld({ scopes: { device }, timeouts: { headers: 100, check: 50 } })
  const socket = await silent((await http.listen()).main)
  await socket.gone
})

describe('too many connections', () => {
  const start = async (maxConnections: number, tls: ReturnType<typeof tlsFiles> | null = null) => {
    const world = await httpWorld({ scopes: { device }, config: { tls }, maxConnections })
    return { ...world, address: (await world.http.listen()).main }
  }

  test.each(['http', 'https'])('those that say nothing make room, the oldest first (%s)', async (scheme) => {
    const { address, lines } = await start(8, scheme === 'https' ? tlsFiles() : null)
    const first = await silent(address)
    const rest = []
    for (let i = 0; i < 20; i += 1) rest.push(await silent(address))
    await first.gone
    const honest =
      scheme === 'https'
        ? connectTls({ port: Number(new URL(address).port), host: '127.0.0.1', rejectUnauthorized: false })
        : await silent(address)
    onTestFinished(() => void honest.destroy())
    expect(await ask(honest)).toBe('HTTP/1.1 200 OK')
    // Those that come later take the places of others like them, not of one that has spoken.
    for (let i = 0; i < 20; i += 1) rest.push(await silent(address))
    expect(await ask(honest)).toBe('HTTP/1.1 200 OK')
    const told = lines.filter(({ event }) => event === 'http.connections_dropped')
    expect(told).toMatchObject([{ level: 'warn', dropped: 1, max_connections: 8 }])
  })

  test('those that rest after a request make room when all places are taken', async () => {
    const { address } = await start(4)
    const resting = []
    for (let i = 0; i < 4; i += 1) {
      const socket = await silent(address)
      await ask(socket)
      resting.push(socket)
    }
    const refused = await silent(address)
    await refused.gone
    await Promise.all(resting.map((socket) => socket.gone))
    expect(await ask(await silent(address))).toBe('HTTP/1.1 200 OK')
  })

  test('operators with a listener of their own keep a share', async () => {
    const { http } = await httpWorld({
      scopes: { device },
      config: { operatorListener: { host: '127.0.0.1', port: 0 } },
      maxConnections: 64,
    })
    expect(http.main.server.maxConnections).toBe(56)
    expect(http.operator.server.maxConnections).toBe(8)
  })

  test.each([
    [1024, 768],
    [4096, 3072],
    [65_536, 20_000],
    [Number.MAX_SAFE_INTEGER, 20_000],
    [2, 1],
  ])('of %i files %i are for connections', (limit, connections) => {
    expect(connectionBudget(limit)).toBe(connections)
  })
})

describe('TLS', () => {
  const handshake = (
    address: string,
    options: { ciphers?: string; maxVersion?: SecureVersion; minVersion?: SecureVersion },
  ) =>
    new Promise<string>((resolve) => {
      const socket = connectTls({
        port: Number(new URL(address).port),
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...options,
      })
      socket.once('secureConnect', () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().standardName}`)
        socket.destroy()
      })
      socket.once('error', () => resolve('refused'))
    })

  test.each([
    [{ maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256:AES256-SHA' }, 'refused'],
    [{ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-SHA:@SECLEVEL=0' }, 'refused'],
    [{ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }, 'refused'],
    [{ maxVersion: 'TLSv1.2' }, 'TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'],
    [{}, 'TLSv1.3 TLS_AES_256_GCM_SHA384'],
  ] as const)('with %j is %s, also after a reload', async (options, expected) => {
    expect(new X509Certificate(server.certPem).publicKey.asymmetricKeyType).toBe('rsa')
    const { http } = await httpWorld({ config: { tls: tlsFiles() } })
    const { main } = await http.listen()
    expect(await handshake(main, options)).toBe(expected)
    http.reloadTls()
    expect(await handshake(main, options)).toBe(expected)
  })

  test.each([
    ['http://127.0.0.1:8080', undefined],
    ['https://mdm.example', 'max-age=31536000'],
  ])('an answer of %s says strict-transport-security: %s, whatever it is', async (publicUrl, expected) => {
    const { http } = await httpWorld({ scopes: { device }, config: { publicUrl } })
    for (const url of ['/scep', '/nothing', '/healthz', '/api/v1/nothing']) {
      expect((await http.main.inject(url)).headers['strict-transport-security']).toBe(expected)
    }
  })
})
