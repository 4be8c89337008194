import { createHmac } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { signData } from '../../src/protocol/cms/index.ts'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, type TestApp } from '../support/app.ts'
import { testDatabase } from '../support/database.ts'
import { halfEnrolled, identityOf } from '../support/half-enrolled.ts'
import { testDevice } from '../support/identities.ts'

interface Asked {
  method: string | undefined
  url: string | undefined
  headers: IncomingHttpHeaders
  body: string
}

/** What the companion was asked, and what it answers; `hangs`: nothing. */
const asked: Asked[] = []
let says: { status: number; body: string; headers?: Record<string, string>; hangs?: boolean }
let world: TestApp
let device: Device
const sign = (key: string, body: string) => createHmac('sha256', key).update(body).digest('base64')
const companion = createServer((request, reply) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { method, url, headers } = request
    asked.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
    if (says.hangs) return
    const signature = { 'x-hmac-signature': sign('of answers', says.body) }
    reply.writeHead(says.status, { ...signature, ...says.headers }).end(says.body)
  })
})

beforeAll(async () => {
  await new Promise<void>((resolve) => companion.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(companion.address() as AddressInfo).port}`
  world = await startTestApp({
    db: await testDatabase('postgres'),
    settings: {
      FIRSTBOOT_DECLARATION_URL: `${url}/base/ddm/`,
      FIRSTBOOT_DECLARATION_HMAC_KEY: 'of questions',
      FIRSTBOOT_DECLARATION_VERIFY_HMAC_KEY: 'of answers',
      FIRSTBOOT_AUTHPROXY_URL: `${url}/behind`,
    },
  })
  device = await world.enrolled()
  await device.signIn({ UserID: 'U1', UserShortName: 'ada', UserLongName: 'Ada' })
})
afterAll(async () => {
  await world.close()
  companion.closeAllConnections()
  companion.close()
})
beforeEach(() => {
  asked.splice(0)
  says = { status: 200, body: '{}' }
})

describe('a declaration server', () => {
  const ask = (Endpoint: string, more: PlistDict = {}) =>
    putMessage(
      `${world.url}/mdm/checkin`,
      { MessageType: 'DeclarativeManagement', UDID: device.facts.udid, Endpoint, ...more },
      { signer: identityOf(device), type: CHECK_IN },
    )

  test('is asked what devices ask, and its answer is theirs', async () => {
    says.body = '{"SyncTokens":{}}'
    const answer = await ask('tokens')
    expect([answer.status, answer.type, answer.body.toString()]).toEqual([200, 'application/json', says.body])
    expect(asked.splice(0)).toMatchObject([
      {
        method: 'GET',
        url: '/base/ddm/tokens',
        headers: {
          'x-enrollment-id': device.facts.udid,
          'x-enrollment-type': 'Device',
          'x-hmac-signature': sign('of questions', ''),
        },
      },
    ])
    const report = '{"StatusItems":{}}'
    says = { status: 204, body: '' }
    const sent = await ask('status', { Data: Buffer.from(report), UserID: 'U1' })
    expect([sent.status, sent.body.length]).toEqual([200, 0])
    expect(asked).toMatchObject([
      {
        method: 'PUT',
        url: '/base/ddm/status',
        body: report,
        headers: {
          'content-type': 'application/json',
          'x-enrollment-id': `${device.facts.udid}:U1`,
          'x-enrollment-type': 'User',
          'x-enrollment-parentid': device.facts.udid,
          'x-hmac-signature': sign('of questions', report),
        },
      },
    ])
  })

  test('is asked for exactly the endpoint, and never for anything beside it', async () => {
    for (const [endpoint, url] of [
      ['declaration/configuration/a.b c?d#e', '/base/ddm/declaration/configuration/a.b%20c%3Fd%23e'],
      ['declaration/asset/%41%2F', '/base/ddm/declaration/asset/%41%2F'],
      ['/tokens', '/base/ddm//tokens'],
      ['http://evil.example/', '/base/ddm/http://evil.example/'],
      ['//evil.example/', '/base/ddm///evil.example/'],
    ] as const) {
      expect((await ask(endpoint)).status).toBe(200)
      expect(asked.splice(0).map((each) => each.url)).toEqual([url])
    }
    for (const endpoint of ['..', '../x', '../../x', 'a/../../x', '%2e%2e/x', '..\\x', '../ddm2'])
      expect([endpoint, (await ask(endpoint)).status]).toEqual([endpoint, 400])
    expect(asked).toEqual([])
  })

  test('errors that a device has to know go to it, all others are ours; none is a 401', async () => {
    for (const [theirs, ours] of [
      ...[400, 403, 404, 409, 410, 413, 429].map((status) => [status, status] as const),
      ...[201, 301, 302, 401, 407, 418, 500, 503].map((status) => [status, 502] as const),
    ]) {
      says = { status: theirs, body: 'secret', headers: { location: 'https://evil.example/' } }
      const answer = await ask('tokens')
      expect([theirs, answer.status]).toEqual([theirs, ours])
      expect(answer.body.toString()).not.toContain('secret')
    }
    expect(asked.length).toBe(15)
  })

  test('an answer that is not signed as agreed, too large or too late is none', async () => {
    for (const signature of ['', 'nonsense', sign('of questions', '{}'), sign('of answers', '{ }')]) {
      says.headers = { 'x-hmac-signature': signature }
      expect([signature, (await ask('tokens')).status]).toEqual([signature, 502])
    }
    says = { status: 200, body: 'x'.repeat(8 * 1024 * 1024 + 1) }
    expect((await ask('tokens')).status).toBe(502)
    says.hangs = true
    asked.splice(0)
    const late = ask('tokens')
    await expect.poll(() => asked.length).toBe(1)
    world.clock.advance(20_001)
    expect((await late).status).toBe(502)
  })

  test('only devices that are enrolled are heard', async () => {
    const body = { MessageType: 'DeclarativeManagement', UDID: device.facts.udid, Endpoint: 'tokens' }
    const stranger = identityOf(await halfEnrolled(world, 'certificate'))
    for (const signer of [undefined, stranger, await testDevice()]) {
      const { status } = await putMessage(`${world.url}/mdm/checkin`, body, { signer, type: CHECK_IN })
      expect([400, 403]).toContain(status)
    }
    expect(asked).toEqual([])
  })
})

describe('the authenticating proxy', () => {
  const get = async (
    address: string,
    options: { signer?: boolean; headers?: Record<string, string>; method?: string; body?: string } = {},
  ) => {
    const { signer = true, headers = {}, method = 'GET', body } = options
    const content = Buffer.from(body ?? '')
    const signature = (await signData({ content, detached: true, signer: identityOf(device) })).toString(
      'base64',
    )
    return fetch(`${world.url}/authproxy/${address}`, {
      method,
      redirect: 'manual',
      headers: { ...(signer && { 'mdm-signature': signature }), ...headers },
      ...(body !== undefined && { body }),
    })
  }

  test('lets enrolled devices through, says who they are, and gives back what is answered', async () => {
    says = {
      status: 206,
      body: 'an asset',
      headers: { 'content-type': 'text/x', etag: '"1"', connection: 'close' },
    }
    const answer = await get('a%2Fb/c?d=e%20f', {
      method: 'PUT',
      body: 'said',
      headers: {
        ...{ 'X-Enrollment-ID': 'another', 'X-Enrollment-Type': 'Device', 'X-Trace-ID': 'mine' },
        ...{ 'X-Forwarded-For': '1.2.3.4', range: 'bytes=0-7', 'content-type': 'text/plain' },
      },
    })
    expect([answer.status, await answer.text(), answer.headers.get('etag')]).toEqual([206, 'an asset', '"1"'])
    const [call] = asked
    expect(call).toMatchObject({
      ...{ method: 'PUT', url: '/behind/a%2Fb/c?d=e%20f', body: 'said' },
      headers: { 'x-enrollment-id': device.facts.udid, range: 'bytes=0-7', 'content-type': 'text/plain' },
    })
    expect(call?.headers['x-trace-id']).not.toBe('mine')
    for (const name of ['mdm-signature', 'x-enrollment-type', 'x-forwarded-for'])
      expect(call?.headers).not.toHaveProperty(name)
  })

  test('a 401 becomes a 403, redirects are passed on, other hosts and paths are never asked', async () => {
    says = { status: 401, body: '', headers: { 'www-authenticate': 'Basic' } }
    const refused = await get('x')
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([403, null])
    says = { status: 302, body: '', headers: { location: 'https://example.com/' } }
    expect((await get('x')).headers.get('location')).toBe('https://example.com/')
    asked.splice(0)
    for (const address of ['..%2f..%2fx', '%2e%2e%5cx']) await get(address)
    expect(asked.every(({ url }) => url?.startsWith('/behind/'))).toBe(true)
  })

  test('nobody else gets through', async () => {
    expect((await get('x', { signer: false })).status).toBe(400)
    const stranger = identityOf(await halfEnrolled(world, 'certificate'))
    for (const signer of [stranger, await testDevice()]) {
      const answer = await putMessage(`${world.url}/authproxy/x`, Buffer.from('x'), { signer })
      expect([400, 403]).toContain(answer.status)
    }
    const gone = await world.enrolled()
    await gone.checkOut()
    const late = await putMessage(`${world.url}/authproxy/x`, Buffer.from('x'), { signer: identityOf(gone) })
    expect(late.status).toBe(403)
    expect(asked).toEqual([])
  })

  test('what is behind it being away is a 502', async () => {
    companion.closeAllConnections()
    await new Promise((resolve) => companion.close(resolve))
    expect((await get('x')).status).toBe(502)
  })
})
