import type { FastifyPluginAsync } from 'fastify'
import { createHash } from 'node:crypto'
import { type ClientRequest, request } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { OURS, as, httpWorld } from '../support/http-world.ts'

const KB = 1024
const MB = 1024 * KB

const device: FastifyPluginAsync = async (app) => {
  app.put('/mdm', { config: { largeBodies: true } }, async ({ body, proof }) => {
    const digest = createHash('sha256')
      .update(body as Buffer)
      .digest('hex')
    return `${(body as Buffer).length} ${digest} ${proof?.fingerprint.toString() ?? 'small'}`
  })
  app.post('/scep', async ({ body }) => `${(body as Buffer).length}`)
}
const enroll: FastifyPluginAsync = async (app) => void app.post('/enroll/ade/key', async () => 'read')

type Answer = { status: number; body: string; headers: Record<string, unknown> }

/** A request whose body is sent by hand. */
function open(
  address: string,
  options: { method?: string; path?: string; headers: Record<string, string | number> },
) {
  const { method = 'PUT', path = '/mdm', headers } = options
  const sent: ClientRequest = request(`${address}${path}`, { method, headers, agent: false })
  onTestFinished(() => void sent.destroy())
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
    })
  })
  answer.catch(() => {})
  return {
    sent,
    answer,
    write: (bytes: Buffer) => new Promise<void>((resolve) => sent.write(bytes, () => resolve())),
  }
}

const start = async () => {
  const world = await httpWorld({ scopes: { device, enroll } })
  return (await world.http.listen()).main
}

const told = (body: Buffer, who: string) =>
  `${body.length} ${createHash('sha256').update(body).digest('hex')} ${who}`

/** Bytes that differ, so that none can be taken for another. */
function bytesOf(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at + 4 <= size; at += 4096) bytes.writeUInt32BE(at, at)
  return bytes
}

describe.each([
  ['with its length', (size: number) => ({ 'content-length': size })],
  ['in chunks', () => ({ 'transfer-encoding': 'chunked' })],
] as const)('a body %s', (_, lengthOf) => {
  const send = async (
    address: string,
    size: number,
    headers: Record<string, string> = {},
    path = '/mdm',
    method = 'PUT',
  ) => {
    const body = bytesOf(size)
    const { sent, answer } = open(address, { method, path, headers: { ...headers, ...lengthOf(size) } })
    sent.end(body)
    return answer
  }

  test.each([0, 1, 64 * KB])('of %i bytes is read, whoever sends it', async (size) => {
    const answer = await send(await start(), size)
    expect(answer).toMatchObject({ status: 200, body: told(bytesOf(size), 'small') })
  })

  test.each([64 * KB + 1, 300 * KB, 16 * MB])('of %i bytes is read of one of ours', async (size) => {
    const answer = await send(await start(), size, { 'mdm-signature': OURS })
    expect(answer).toMatchObject({ status: 200, body: told(bytesOf(size), OURS) })
  })

  test.each([{}, { 'mdm-signature': 'nobody' }])('of 64 KB and a byte is a 413 with %j', async (headers) => {
    const answer = await send(await start(), 64 * KB + 1, { ...headers })
    expect(answer).toMatchObject({ status: 413, body: 'payload_too_large\n' })
  })

  test('of more than 16 MB is a 413 of anybody', async () => {
    const address = await start()
    const { answer, write } = open(address, { headers: { 'mdm-signature': OURS, ...lengthOf(16 * MB + 1) } })
    void write(bytesOf(16 * MB + 1))
    expect(await answer).toMatchObject({ status: 413 })
  })

  test.each([
    ['/scep', 'POST'],
    ['/enroll/ade/key', 'POST'],
  ])('of more than 64 KB to %s is a 413, also of one of ours', async (path, method) => {
    const address = await start()
    expect(await send(address, 64 * KB, { 'mdm-signature': OURS }, path, method)).toMatchObject({
      status: 200,
    })
    expect(await send(address, 64 * KB + 1, { 'mdm-signature': OURS }, path, method)).toMatchObject({
      status: 413,
    })
  })
})

test('all large ones together have 256 MB; those of 64 KB are read all the same; what is given up makes room', async () => {
  const address = await start()
  const headers = { 'mdm-signature': OURS, 'content-length': 16 * MB }
  const held = Array.from({ length: 16 }, () => open(address, { headers }))
  await Promise.all(held.map(({ write }) => write(Buffer.alloc(16 * MB - 1))))
  const put = (size: number) => {
    const { sent, answer } = open(address, { headers: { ...headers, 'content-length': size } })
    sent.end(bytesOf(size))
    return answer
  }
  // What was written has arrived when there is no place for more.
  await expect.poll(async () => (await put(64 * KB + 1)).status).toBe(503)
  const refused = await put(64 * KB + 1)
  expect([refused.body, refused.headers['retry-after']]).toEqual(['overloaded\n', '30'])
  expect(await put(64 * KB)).toMatchObject({ status: 200 })
  held[0]?.sent.destroy()
  await expect.poll(async () => (await put(64 * KB + 1)).status).toBe(200)
  for (const { sent, answer } of held.slice(1)) {
    sent.end(Buffer.alloc(1))
    expect(await answer).toMatchObject({ status: 200 })
  }
  // Everything was given back.
  const again = Array.from({ length: 3 }, () => put(16 * MB))
  expect((await Promise.all(again)).map(({ status }) => status)).toEqual([200, 200, 200])
})

test('operators without a token send nothing that is read', async () => {
  const operator: FastifyPluginAsync = async (app) =>
    void app.post('/things', { config: { role: 'viewer' }, schema: { body: {} } }, async () => 'read')
  const nanomdm: FastifyPluginAsync = async (app) => void app.put('/v1/pushcert', async () => 'read')
  const { http } = await httpWorld({ scopes: { operator, nanomdm } })
  const { main } = await http.listen()
  for (const [method, path] of [
    ['POST', '/api/v1/things'],
    ['PUT', '/v1/pushcert'],
  ] as const) {
    const { answer, write } = open(main, {
      ...{ method, path },
      headers: { 'content-type': 'application/json', 'content-length': 10 * MB },
    })
    await write(Buffer.alloc(1))
    expect(await answer).toMatchObject({ status: 401 })
  }
  const encoded = await http.main.inject({
    ...{ method: 'POST', url: '/api/v1/things' },
    headers: { ...as('viewer'), 'content-type': 'application/json', 'content-encoding': 'gzip' },
    payload: '{}',
  })
  expect([encoded.statusCode, encoded.json().code]).toEqual([415, 'unsupported_media_type'])
})
