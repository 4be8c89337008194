import type { FastifyPluginAsync } from 'fastify'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { createFailureLimiter } from '../../src/http/failures.ts'
import { httpWorld } from '../support/http-world.ts'
import { manualClock } from '../support/manual-clock.ts'

const enroll: FastifyPluginAsync = async (app) => {
  app.get('/enroll/link/:key', async (request) => {
    const { key } = request.params as { key: string }
    if (key === 'good') return 'profile'
    request.noteFailure()
    throw new AppError('not_found')
  })
  app.post('/enroll/ade/:key', async (request) => `${Buffer.isBuffer(request.body)}`)
}

describe('those who fail', () => {
  test('are told 404 twenty times in a minute, then 429 until it is over', async () => {
    const { http, clock } = await httpWorld({ scopes: { enroll } })
    const get = async (key: string) => http.main.inject(`/enroll/link/${key}`)
    for (let count = 0; count < 20; count += 1) {
      const answer = await get(`guess-${count}`)
      expect([answer.statusCode, answer.body]).toEqual([404, ''])
    }
    clock.advance(15_000)
    const limited = await get('guess')
    expect([limited.statusCode, limited.headers['retry-after'], limited.body]).toEqual([429, '45', ''])
    expect((await get('good')).body).toBe('profile')
    clock.advance(45_000)
    expect((await get('guess')).statusCode).toBe(404)
  })

  test('do not stand in the way of hundreds behind the same address', async () => {
    const { http } = await httpWorld({ scopes: { enroll } })
    for (let count = 0; count < 300; count += 1) {
      if (count % 5 === 0) await http.main.inject('/enroll/link/guess')
      expect((await http.main.inject('/enroll/link/good')).statusCode).toBe(200)
    }
  })

  test('are told apart by the address that a trusted proxy tells, and by no other', async () => {
    const fail = async (trustedProxies: string[]) => {
      const { http } = await httpWorld({ scopes: { enroll }, config: { trustedProxies } })
      const from = (address: string) =>
        http.main.inject({ url: '/enroll/link/guess', headers: { 'x-forwarded-for': address } })
      for (let count = 0; count < 21; count += 1) await from('192.0.2.1')
      return (await from('192.0.2.2')).statusCode
    }
    expect(await fail(['127.0.0.1'])).toBe(404)
    expect(await fail(['10.0.0.0/8'])).toBe(429)
  })

  test('leave a line with the pattern of the route, never the key', async () => {
    const { http, lines } = await httpWorld({ scopes: { enroll } })
    await http.main.inject('/enroll/link/guess-of-a-key')
    expect(lines.at(-1)).toMatchObject({
      event: 'http.request',
      route: '/enroll/link/:key',
      reason: 'not_found',
    })
    expect(JSON.stringify(lines)).not.toContain('guess-of-a-key')
  })
})

test('bodies are raw bytes of at most 64 KiB', async () => {
  const { http } = await httpWorld({ scopes: { enroll } })
  const post = (size: number) =>
    http.main.inject({ method: 'POST', url: '/enroll/ade/k', payload: Buffer.alloc(size, 'x') })
  expect((await post(64 * 1024)).body).toBe('true')
  const refused = await post(64 * 1024 + 1)
  expect([refused.statusCode, refused.body]).toEqual([413, ''])
})

test('an address with a slash at its end is the same', async () => {
  const { http } = await httpWorld({ scopes: { enroll } })
  for (const url of ['/enroll/ade/k/', '/enroll/ade/k/?a=b/'])
    expect((await http.main.inject({ method: 'POST', url, payload: 'x' })).statusCode).toBe(200)
})

describe('the count of failures', () => {
  test('takes an IPv6 network of 64 bits, or an IPv4 address in either spelling, as one', () => {
    const limiter = createFailureLimiter({ clock: manualClock() })
    for (let count = 0; count < 21; count += 1) {
      limiter.note(`2001:db8:1:2::${count.toString(16)}`)
      limiter.note(count % 2 === 0 ? '192.0.2.7' : '::ffff:192.0.2.7')
    }
    expect(limiter.retryAfter('2001:db8:1:2:ffff::1')).toBe(60)
    expect(limiter.retryAfter('2001:db8:1:3::1')).toBe(0)
    expect(limiter.retryAfter('::ffff:192.0.2.7')).toBe(60)
    expect(limiter.retryAfter('192.0.2.8')).toBe(0)
  })

  test('stays bounded: the oldest of more than 10,000 addresses are forgotten', () => {
    const limiter = createFailureLimiter({ clock: manualClock() })
    for (let count = 0; count < 21; count += 1) limiter.note('192.0.2.1')
    expect(limiter.retryAfter('192.0.2.1')).toBe(60)
    for (let count = 0; count < 10_000; count += 1) limiter.note(`10.0.${count >> 8}.${count & 255}`)
    expect(limiter.retryAfter('192.0.2.1')).toBe(0)
  })
})
