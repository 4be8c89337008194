import { expect, test } from 'vitest'
import { manualClock } from '../support/manual-clock.ts'
import { as, httpWorld } from '../support/http-world.ts'

async function start(perSecond = 2) {
  const clock = manualClock()
  const counted: unknown[] = []
  let rate = perSecond
  const { http } = await httpWorld({
    clock,
    callsPerSecond: async () => rate,
    audit: {
      complete: async () => undefined,
      count: async (address, caller) => void counted.push([address, caller]),
    },
    scopes: {
      operator: async (app) => {
        app.get('/thing', { config: { role: 'viewer' } }, async () => ({}))
        app.post('/thing', { config: { role: 'admin' } }, async () => ({}))
      },
      nanomdm: async (app) => {
        app.get('/v1/thing', async () => ({}))
      },
    },
  })
  async function call(role: 'viewer' | 'operator' | 'admin' = 'viewer', method: 'GET' | 'POST' = 'GET') {
    const { statusCode, headers, body } = await http.operator.inject({
      ...{ method, url: '/api/v1/thing', headers: as(role) },
    })
    const { ratelimit, 'ratelimit-policy': policy, 'retry-after': retryAfter } = headers
    return { status: statusCode, ratelimit, policy, retryAfter, body }
  }
  return { http, clock, counted, call, setRate: (value: number) => void (rate = value) }
}

test('every answer tells what is left, and what comes beyond it is refused with when to come again', async () => {
  const { clock, counted, call } = await start()
  expect(await call()).toMatchObject({
    ...{ status: 200, policy: '"token";q=40;w=20', ratelimit: '"token";r=39;t=1' },
  })
  // A refused one counts as well.
  expect(await call('viewer', 'POST')).toMatchObject({ status: 403, ratelimit: '"token";r=38;t=1' })
  for (let at = 0; at < 38; at += 1) expect((await call()).status).toBe(200)
  const beyond = await call('viewer', 'POST')
  expect(beyond).toMatchObject({ status: 429, ratelimit: '"token";r=0;t=20', retryAfter: '1' })
  expect(JSON.parse(beyond.body)).toMatchObject({ code: 'too_many_calls' })
  expect(counted).toEqual([['127.0.0.1', { actor: expect.objectContaining({ name: 'viewer' }) }]])
  // Others have their own.
  expect(await call('admin')).toMatchObject({ status: 200, ratelimit: '"token";r=39;t=1' })

  clock.advance(500)
  expect((await call()).status).toBe(200)
  expect((await call()).status).toBe(429)
  clock.advance(3_600_000)
  expect((await call()).ratelimit).toBe('"token";r=39;t=1')
  clock.advance(-60_000)
  expect((await call()).ratelimit).toBe('"token";r=38;t=1')
})

test('a new setting holds at once, also for those who have called', async () => {
  const { call, setRate } = await start()
  await call()
  setRate(1)
  expect(await call()).toMatchObject({ policy: '"token";q=20;w=20', ratelimit: '"token";r=19;t=1' })
  setRate(1000)
  expect(await call()).toMatchObject({ policy: '"token";q=20000;w=20', ratelimit: '"token";r=18;t=20' })
})

test("holds for NanoMDM's API too, and together with the other", async () => {
  const { http, call } = await start(1)
  for (let at = 0; at < 19; at += 1) await call('admin')
  const ask = () => {
    const authorization = `Basic ${Buffer.from('nanomdm:admin-secret').toString('base64')}`
    return http.operator.inject({ url: '/v1/thing', headers: { authorization } })
  }
  expect((await ask()).headers['ratelimit']).toBe('"token";r=0;t=20')
  const { statusCode, headers, body } = await ask()
  expect([statusCode, headers['retry-after'], JSON.parse(body).error]).toEqual([
    429,
    '1',
    'This token has made too many calls; try again later.',
  ])
})

test('strangers have no limit of their own to learn about', async () => {
  const { http } = await start()
  const answer = await http.operator.inject({ url: '/api/v1/thing' })
  expect([answer.statusCode, answer.headers['ratelimit']]).toEqual([401, undefined])
})
