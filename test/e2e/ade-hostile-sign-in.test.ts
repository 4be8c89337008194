import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { basicHeader as basic, machineInfoOf, sendMachineInfo as send } from '../support/ade-machine-info.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.

const PASSWORD = 'right password'
const MINUTE = 60_000

describe('bad input at sign-in', () => {
  let database: TestDatabase
  let world: AdeApp
  let prompt: string
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: await openAgain(database) })
    prompt = await world.policy({ user_affinity: 'prompt' })
  })
  afterAll(async () => {
    await world.close()
    await database.close()
  })

  const machineInfo = (phone: Phone) => machineInfoOf(phone, world.ca)
  const lastReason = async (phone: Phone) => (await world.attemptOf(phone)).timeline.at(-1)?.reason

  describe('Basic credentials', () => {
    test('without a colon, in another scheme or as garbage: asked again, invalid_credentials', async () => {
      const phone = await world.phone(prompt)
      const { url } = world.activation(phone)
      for (const headers of [
        ...[basic('no colon'), basic(''), basic(':only'), basic('a\0b:c'), { authorization: 'Basic %%%' }],
        ...[{ authorization: 'Bearer x' }, { authorization: `Basic ${'A'.repeat(8_000)}` }],
      ]) {
        const answer = await send(url, await machineInfo(phone), headers)
        expect([answer.status, answer.body]).toEqual([401, ''])
        expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm="/)
        expect(await lastReason(phone)).toBe('invalid_credentials')
      }
      expect(await world.attemptsOf(phone)).toHaveLength(1)
    })

    test.each([
      ['UTF-8', 'utf8'],
      ['Latin-1', 'latin1'],
    ] as const)('a password with umlauts is taken as %s', async (_, encoding) => {
      await world.user(`jürg-${encoding}`, { password: 'Grüezi mitenand: é' })
      const phone = await world.phone(prompt)
      const text = Buffer.from(`jürg-${encoding}:Grüezi mitenand: é`, encoding)
      expect((await send(world.activation(phone).url, await machineInfo(phone), basic(text))).status).toBe(
        200,
      )
    })

    test('many wrong ones are slowed down with 429, gently: others and, later, the right one get in', async () => {
      await world.user('target')
      await world.user('bystander')
      const phone = await world.phone(prompt)
      const { url } = world.activation(phone)
      const info = await machineInfo(phone)
      const statuses = []
      for (let round = 0; round < 12; round++)
        statuses.push((await send(url, info, basic(`target:wrong ${round}`))).status)
      expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401))
      const locked = await send(url, info, basic(`target:${PASSWORD}`))
      expect(locked.status).toBe(429)
      expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(await lastReason(phone)).toBe('too_many_failures')
      const neighbour = await world.phone(prompt, {
        person: { userName: 'bystander', passwords: [PASSWORD] },
      })
      expect((await neighbour.powerOn()).outcome).toBe('enrolled')
      world.clock.advance(10 * MINUTE)
      expect((await send(url, await machineInfo(phone), basic(`target:${PASSWORD}`))).status).toBe(200)
    })
  })

  describe('SOAP from a directory', () => {
    const envelope = (body: string, namespace = 'http://www.w3.org/2003/05/soap-envelope') =>
      `<s:Envelope xmlns:s="${namespace}"><s:Body>${body}</s:Body></s:Envelope>`
    const answers: Record<
      string,
      { status: number; headers?: Record<string, string>; body: string | number }
    > = {
      entities: {
        status: 200,
        body: `<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>${envelope('&b;')}`,
      },
      'wrong namespaces': { status: 200, body: envelope('<RequestSecurityTokenResponse/>', 'urn:soap') },
      'HTML and 200': { status: 200, body: '<html><body>Sign in to the guest network</body></html>' },
      '50 MB': { status: 200, body: 50 * 1024 * 1024 },
      'a redirect': { status: 302, headers: { location: 'http://127.0.0.1:1/elsewhere' }, body: '' },
      'a redirect to itself': { status: 307, headers: { location: '/' }, body: '' },
      'a 500 without a fault': { status: 500, body: 'oops' },
      nothing: { status: 200, body: '' },
    }
    let wanted = 'nothing'
    let server: Server
    let policy: string
    beforeAll(async () => {
      server = createServer((request, response) => {
        request.resume().on('end', () => {
          const { status, headers = {}, body } = answers[wanted]!
          response.writeHead(status, { 'content-type': 'application/soap+xml; charset=utf-8', ...headers })
          response.end(typeof body === 'string' ? body : Buffer.alloc(body, 0x20))
        })
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/adfs/services/trust/13/usernamemixed`
      const source = await world.api('POST', '/sign-in-sources', { kind: 'ws_trust', name: 'Strange', url })
      expect(source.status).toBe(201)
      policy = await world.policy({ user_affinity: 'prompt', sign_in_source_id: source.body.id })
    })
    afterAll(() => {
      server.closeAllConnections()
      server.close()
    })

    test.each(Object.keys(answers))(
      '%s: 503, directory_unavailable, never "wrong password"',
      async (name) => {
        wanted = name
        const phone = await world.phone(policy)
        const answer = await send(
          world.activation(phone).url,
          await machineInfo(phone),
          basic(`soap@example.com:${name}`),
        )
        expect([answer.status, answer.body]).toEqual([503, ''])
        expect(await world.attemptOf(phone)).toMatchObject({ outcome: 'in_progress' })
        expect(await lastReason(phone)).toBe('directory_unavailable')
        expect((await world.api('GET', '/users?user_name=soap@example.com')).body.items).toEqual([])
      },
    )
  })
})
