import { connect, type ClientHttp2Session } from 'node:http2'
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  createApnsCertificates,
  type ApnsCertificates,
  type PemPair,
} from '../../src/simulator/push-service/certificates.ts'
import { startFakeApns, type FakeApns } from '../../src/simulator/push-service/fake-apns.ts'

const TOPIC = 'com.apple.mgmt.External.simulator'

let certificates: ApnsCertificates
let pair: PemPair
let apns: FakeApns
let client: ClientHttp2Session

beforeAll(async () => {
  certificates = await createApnsCertificates(new Date())
  pair = await certificates.pushCertificate(TOPIC)
})
beforeEach(async () => {
  await stop()
  apns = await startFakeApns({ certificates })
  client = connectAs(pair)
})
afterAll(stop)

async function stop(): Promise<void> {
  client?.destroy()
  await apns?.close()
}

function connectAs(identity?: PemPair): ClientHttp2Session {
  const credentials = identity === undefined ? {} : { cert: identity.certificate, key: identity.key }
  const session = connect(apns.url, { ca: certificates.ca, ...credentials })
  session.on('error', () => undefined)
  return session
}

const good = () => ({
  ':method': 'POST',
  ':path': '/3/device/abcdef0123',
  'apns-topic': TOPIC,
  'apns-push-type': 'mdm',
  'apns-priority': '10',
  'apns-expiration': String(Math.floor(Date.now() / 1000) + 3600),
  'content-type': 'application/json',
})

async function send(
  change: Record<string, string | undefined> = {},
  body: string | Buffer = '{"mdm":"the magic"}',
  on = client,
): Promise<{ status: number | undefined; reason?: string; timestamp?: number }> {
  const headers = Object.fromEntries(
    Object.entries({ ...good(), ...change }).filter(([, value]) => value !== undefined),
  )
  const stream = on.request(headers, { endStream: false })
  stream.end(body)
  const status = await new Promise<number | undefined>((resolve, reject) => {
    stream.on('response', (answer) => resolve(answer[':status']))
    stream.on('error', reject)
    stream.on('close', () => resolve(undefined))
  })
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += String(chunk)
  return { status, ...(text === '' ? {} : (JSON.parse(text) as object)) }
}

test('a right push is answered with 200, recorded and handed on', async () => {
  const woken: string[][] = []
  apns.onPush((...push) => woken.push(push))
  expect(await send()).toEqual({ status: 200 })
  expect(apns.pushes).toMatchObject([{ token: 'abcdef0123', magic: 'the magic', topic: TOPIC, status: 200 }])
  expect(woken).toEqual([['abcdef0123', 'the magic']])
  expect(apns.violations).toEqual([])
})

/** What a client says first in a TLS handshake. */
async function clientHello(): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const hello = new Promise<Buffer>((resolve) =>
    server.once('connection', (socket) =>
      socket.once('data', (bytes) => {
        socket.destroy()
        server.close(() => resolve(bytes))
      }),
    ),
  )
  connectTls({ port: (server.address() as AddressInfo).port, ALPNProtocols: ['h2'] }).on(
    'error',
    () => undefined,
  )
  return hello
}

test('a client that is gone in the middle of the handshake has broken no rule, one that speaks no TLS has', async () => {
  const hello = await clientHello()
  const port = Number(new URL(apns.url).port)
  const open = (bytes: Buffer | string, then: (socket: Socket) => void) =>
    new Promise((resolve) => {
      const socket = connectTcp(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.on('close', resolve)
      socket.write(bytes, () => then(socket))
    })
  for (const bytes of [hello.subarray(0, 3), hello.subarray(0, 100), hello]) {
    await open(bytes, (socket) => socket.destroy())
    await open(bytes, (socket) => socket.resetAndDestroy())
  }
  await open(hello, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  expect(await send()).toEqual({ status: 200 })
  expect(apns.violations).toEqual([])
  await open('GET / HTTP/1.1\r\n\r\n', (socket) => socket.resume())
  expect(apns.violations).toEqual(['the TLS handshake failed'])
})

const seconds = (ahead: number) => String(Math.floor(Date.now() / 1000) + ahead)

test.each<[string, Record<string, string | undefined>, string | Buffer | undefined, number, string]>([
  ['another method', { ':method': 'PUT' }, undefined, 405, 'MethodNotAllowed'],
  ['another path', { ':path': '/device/ab' }, undefined, 404, 'BadPath'],
  ['a token in base64', { ':path': '/3/device/q83vASM=' }, undefined, 404, 'BadPath'],
  ['half a byte', { ':path': '/3/device/abc' }, undefined, 404, 'BadPath'],
  ['another topic', { 'apns-topic': 'com.example.app' }, undefined, 400, 'BadTopic'],
  ['an alert', { 'apns-push-type': 'alert' }, undefined, 400, 'InvalidPushType'],
  ['an unknown priority', { 'apns-priority': '7' }, undefined, 400, 'BadPriority'],
  ['an expiration in words', { 'apns-expiration': 'tomorrow' }, undefined, 400, 'BadExpirationDate'],
  ['one in the past', { 'apns-expiration': seconds(-60) }, undefined, 400, 'BadExpirationDate'],
  ['one too far ahead', { 'apns-expiration': seconds(31 * 24 * 3600) }, undefined, 400, 'BadExpirationDate'],
  ['an id that is none', { 'apns-id': '7' }, undefined, 400, 'BadMessageId'],
  ['another content type', { 'content-type': 'text/plain' }, undefined, 400, 'BadHeader'],
  ['a provider token', { authorization: 'bearer x' }, undefined, 403, 'InvalidProviderToken'],
  ['no body', {}, '', 400, 'PayloadEmpty'],
  ['an aps dictionary', {}, '{"mdm":"m","aps":{}}', 400, 'BadPayload'],
  ['an empty magic', {}, '{"mdm":""}', 400, 'BadPayload'],
  ['a body that is no JSON', {}, 'mdm', 400, 'BadPayload'],
  ['a large body', {}, JSON.stringify({ mdm: 'm'.repeat(4096) }), 413, 'PayloadTooLarge'],
])('%s is a violation', async (_name, change, body, status, reason) => {
  expect(await send(change, body)).toEqual({ status, reason })
  expect(apns.violations).toEqual([expect.stringContaining(`${reason}: `)])
  expect(apns.pushes).toEqual([])
})

const NOTHING = { 'apns-push-type': undefined, 'apns-priority': undefined, 'apns-expiration': undefined }

test.each<[string, Record<string, string | undefined>]>([
  ['nothing that Apple can do without', { ...NOTHING, 'apns-topic': undefined, 'content-type': undefined }],
  ['the headers of Go', { ...NOTHING, 'accept-encoding': 'gzip', 'user-agent': 'Go-http-client/2.0' }],
  ['a character set', { 'content-type': 'application/json; charset=utf-8' }],
  ['an id of its own', { 'apns-id': '123E4567-E89B-12D3-A456-4266554400A0' }],
  ['a collapse id', { 'apns-collapse-id': 'x' }],
  ['a low priority', { 'apns-priority': '5' }],
  ['one try', { 'apns-expiration': '0' }],
  ['a token in upper case', { ':path': '/3/device/ABCDEF0123' }],
])('a push with %s is taken', async (_name, change) => {
  expect(await send(change)).toEqual({ status: 200 })
  expect(apns.pushes).toMatchObject([{ token: 'abcdef0123', magic: 'the magic', topic: TOPIC }])
  expect(apns.violations).toEqual([])
})

test('who shows no certificate, or one that is none for MDM, is refused', async () => {
  const stranger = connectAs()
  expect(await send({}, undefined, stranger)).toEqual({ status: 403, reason: 'MissingProviderToken' })
  const server = connectAs(certificates.server)
  expect(await send({}, undefined, server)).toEqual({ status: 403, reason: 'BadCertificate' })
  stranger.destroy()
  server.destroy()
})

test('answers follow the script of the token, then are 200 again', async () => {
  apns.script(
    'abcdef0123',
    { status: 410, reason: 'Unregistered', timestamp: 1795300000000 },
    { status: 429, reason: 'TooManyRequests' },
  )
  expect(await send()).toEqual({ status: 410, reason: 'Unregistered', timestamp: 1795300000000 })
  expect(await send()).toEqual({ status: 429, reason: 'TooManyRequests' })
  expect(await send()).toEqual({ status: 200 })
  expect(apns.pushes.map(({ status }) => status)).toEqual([410, 429, 200])
  expect(apns.violations).toEqual([])
})

test('a connection can be told to end, or cut', async () => {
  const said = new Promise((resolve) => client.once('goaway', (code, last) => resolve([code, last])))
  apns.goAwayAfter(1)
  expect(await send()).toEqual({ status: 200 })
  expect(await said).toEqual([0, 1])
  const next = connectAs(pair)
  apns.answerAll('reset')
  expect((await send({}, undefined, next).catch((error: unknown) => error)) as object).not.toMatchObject({
    status: 200,
  })
  expect(apns.pushes.length).toBe(1)
})
