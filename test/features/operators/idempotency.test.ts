import type { FastifyPluginAsync } from 'fastify'
import { expect, test } from 'vitest'
import { createIdempotencyKeys, createOperators } from '../../../src/features/operators/index.ts'
import { AppError } from '../../../src/kernel/errors.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'

describeEachEngine('Idempotency-Key', (database) => {
  async function world() {
    const doors = doorsOf(database())
    let count = 0
    let gate: Promise<void> | undefined
    const routes: FastifyPluginAsync = async (app) => {
      const schema = {
        body: { type: 'object', properties: { n: { type: 'integer' }, fail: { type: 'boolean' } } },
      }
      app.post('/things', { config: { role: 'admin' }, schema }, async (request, reply) => {
        await gate
        count += 1
        if ((request.body as { fail?: boolean }).fail) throw new AppError('conflict')
        return reply
          .code(201)
          .headers({ location: `/things/${count}`, etag: '"1"' })
          .send({ secret: `s-${count}` })
      })
      app.post('/silent', { config: { role: 'admin' } }, (_request, reply) => {
        count += 1
        return reply.code(204).send()
      })
    }
    const { call } = await apiWorld({ ...doors, operators: createOperators(doors), routes })
    const post = (key: string, body: unknown, path = '/things') =>
      call('POST', path, body, { 'idempotency-key': key })
    return { ...doors, post, hold: (until: Promise<void>) => void (gate = until), count: () => count }
  }

  test('the same request gets the same answer, once done', async () => {
    const { post, count } = await world()
    const first = await post('same', { n: 1 })
    const again = await post('same', { n: 1 })
    expect(first).toMatchObject({ status: 201, body: { secret: 's-1' } })
    expect(again).toMatchObject({
      status: 201,
      body: { secret: 's-1' },
      headers: { location: '/things/1', etag: '"1"', 'idempotency-replayed': 'true' },
    })
    expect(again.headers['content-type']).toBe(first.headers['content-type'])
    expect(count()).toBe(1)
  })

  test('an answer without a body too', async () => {
    const { post, count } = await world()
    expect(await post('silent', undefined, '/silent')).toMatchObject({ status: 204, body: undefined })
    expect(await post('silent', undefined, '/silent')).toMatchObject({ status: 204, body: undefined })
    expect(count()).toBe(1)
  })

  test('another request with the same key is a 422', async () => {
    const { post } = await world()
    await post('other', { n: 1 })
    expect(await post('other', { n: 2 })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    })
    expect(await post('other', undefined, '/silent')).toMatchObject({ status: 422 })
  })

  test('while the first one runs it is a 409', async () => {
    const { post, hold } = await world()
    let release = () => {}
    hold(
      new Promise((resolve) => {
        release = resolve
      }),
    )
    const first = post('running', { n: 1 })
    const { kysely } = database()
    const started = kysely.selectFrom('idempotency_keys').select('started_at').where('key', '=', 'running')
    await expect.poll(() => started.execute()).toHaveLength(1)
    expect(await post('running', { n: 1 })).toMatchObject({
      status: 409,
      body: { code: 'idempotency_key_in_use' },
    })
    release()
    expect((await first).status).toBe(201)
  })

  test('of many at once one is carried out', async () => {
    const { post, count } = await world()
    const answers = await Promise.all(Array.from({ length: 10 }, () => post('many', { n: 1 })))
    expect(count()).toBe(1)
    expect(answers.map(({ status }) => status).filter((status) => status !== 409)).toContain(201)
  })

  test('a refusal is not kept: the request is tried again', async () => {
    const { post, count } = await world()
    expect((await post('refused', { fail: true })).status).toBe(409)
    expect((await post('refused', { fail: true })).status).toBe(409)
    expect(count()).toBe(2)
    expect((await post('refused', { n: 1 })).status).toBe(201)
  })

  test('an answer is forgotten after 24 hours', async () => {
    const { post, count, clock, secretBox } = await world()
    await post('old', { n: 1 })
    clock.advance(24 * 3_600_000 + 1)
    expect(await post('old', { n: 2 })).toMatchObject({ status: 201, body: { secret: 's-2' } })
    expect(count()).toBe(2)
    const keys = createIdempotencyKeys({ db: database(), clock, secretBox })
    clock.advance(24 * 3_600_000 + 1)
    await keys.expire()
    expect(await database().kysely.selectFrom('idempotency_keys').select('key').execute()).toEqual([])
  })

  test('what a dead process left half done is taken over after a minute, by the same request only', async () => {
    const clock = manualClock()
    const { secretBox } = doorsOf(database())
    const keys = createIdempotencyKeys({ db: database(), clock, secretBox })
    const request = { tokenId: 't', key: 'half', requestHash: Buffer.alloc(32, 1) }
    const dead = await keys.begin(request)
    expect(dead.kind).toBe('started')
    clock.advance(60_000)
    expect((await keys.begin(request)).kind).toBe('running')
    clock.advance(1)
    expect((await keys.begin({ ...request, requestHash: Buffer.alloc(32, 2) })).kind).toBe('reused')
    const takeover = await keys.begin(request)
    expect(takeover.kind).toBe('started')
    // The first one was only slow: what it says now no longer counts.
    if (dead.kind !== 'started' || takeover.kind !== 'started') throw new Error('Both were started.')
    const answer = (body: string) => ({ status: 200, headers: {}, body })
    await keys.finish({ ...request, startedAt: dead.startedAt, answer: answer('late') })
    expect((await keys.begin(request)).kind).toBe('running')
    await keys.finish({ ...request, startedAt: takeover.startedAt, answer: answer('right') })
    expect(await keys.begin(request)).toEqual({ kind: 'answered', answer: answer('right') })
  })

  test('answers are kept sealed', async () => {
    const { post } = await world()
    const { body } = await post('sealed', { n: 1 })
    const rows = await database().kysely.selectFrom('idempotency_keys').selectAll().execute()
    expect(rows.length).toBeGreaterThan(0)
    expect(JSON.stringify(rows)).not.toContain(body.secret)
    expect(Buffer.from(rows[0]?.body ?? '', 'base64').toString('latin1')).not.toContain(body.secret)
  })

  test.each(['', 'a b', 'é', 'x'.repeat(256)])('the key %j is refused', async (key) => {
    const { post } = await world()
    expect(await post(key, { n: 1 })).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })
})
