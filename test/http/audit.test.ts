import { expect, test } from 'vitest'
import { as, httpWorld, TOKENS } from '../support/http-world.ts'

type Told = Record<string, unknown>

/** Things with a name and a secret, and what the audit trail was told of them. */
async function start({ complete }: { complete?: () => Promise<void> } = {}) {
  const told: Told[] = []
  const things = new Map<string, Record<string, unknown>>([
    ['a b/ü', { id: 'a b/ü', name: 'Ada', updated_at: 1 }],
  ])
  const world = await httpWorld({
    audit: {
      complete: async (_entry, content) => {
        told.push(content)
        await complete?.()
      },
      count: async () => undefined,
    },
    scopes: {
      operator: async (app) => {
        const viewer = { config: { role: 'viewer' } } as const
        const admin = { config: { role: 'admin' } } as const
        type ById = { Params: { id: string; part: string } }
        app.get<ById>('/things/:id', viewer, async (request, reply) => {
          const { role } = request.operator
          const thing = things.get(request.params.id)
          if (thing === undefined) return reply.code(404).send({ code: 'not_found' })
          return role === 'viewer' ? thing : { ...thing, secret: 'sesame' }
        })
        app.get('/things/:id/file', viewer, (_request, reply) => reply.type('text/plain').send('a file'))
        app.get('/things/:id/key', admin, async () => ({ secret: 'sesame' }))
        app.patch<ById>('/things/:id', { ...admin, schema: { body: {} } }, async (request) => {
          const thing = { ...things.get(request.params.id), ...(request.body as object), updated_at: 2 }
          things.set(request.params.id, thing)
          return { ...thing, secret: 'sesame' }
        })
        app.post<ById>('/things/:id/parts/:part', admin, async (request) => {
          things.get(request.params.id)!['part'] = request.params.part
          return {}
        })
        app.put('/things/:id/file', admin, async () => ({}))
        app.put('/things/:id/key', admin, async () => ({}))
        app.get('/noted', viewer, async (request) => {
          request.act.asked!.isNoted = true
          return {}
        })
      },
    },
  })
  async function call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH',
    url: string,
    payload?: object,
    role: 'viewer' | 'admin' = 'admin',
  ) {
    const headers = as(role)
    const answer = await world.http.operator.inject({
      method,
      url: `/api/v1${url}`,
      headers,
      ...(payload && { payload }),
    })
    return answer.statusCode
  }
  return { ...world, told, things, call }
}

const ID = 'a b/ü'
const PATH = `/things/${encodeURIComponent(ID)}`

test('of a change is told what differs in what a viewer sees', async () => {
  const { told, call } = await start()
  await call('PATCH', PATH, { name: 'Eve' })
  expect(told).toEqual([
    {
      ...{
        actor: { kind: 'api_token', id: 'id-of-admin', name: 'admin' },
        via: 'api',
        action: 'PATCH /things/{id}',
      },
      ...{ object: { kind: 'things', id: ID }, before: { name: 'Ada' }, after: { name: 'Eve' } },
      ...{ address: '127.0.0.1', request_id: expect.any(String), outcome: 'done', reason: null },
    },
  ])
})

test('a part is told by the thing that it is of; what is a file, or not for viewers, is not told', async () => {
  const { told, call } = await start()
  await call('POST', `${PATH}/parts/wheel`)
  await call('PUT', `${PATH}/file`)
  await call('PUT', `${PATH}/key`)
  expect(told).toMatchObject([
    { action: 'POST /things/{id}/parts/{part}', object: { id: ID }, before: {}, after: { part: 'wheel' } },
    { action: 'PUT /things/{id}/file', before: null, after: null },
    { action: 'PUT /things/{id}/key', before: null, after: null },
  ])
  expect(JSON.stringify(told)).not.toContain('sesame')
})

test('what is large is left out, and told to be', async () => {
  const { told, call } = await start()
  await call('PATCH', PATH, { text: 'x'.repeat(20_000) })
  expect(told).toMatchObject([
    { before: {}, after: { left_out: expect.stringMatching(/^20\d+ bytes$/), members: ['text'] } },
  ])
})

test('reading is told if it was refused, or an event told of it', async () => {
  const { told, call } = await start()
  await call('GET', PATH)
  await call('GET', '/nowhere')
  await call('PATCH', '/nowhere')
  expect(told).toEqual([])
  expect(await call('GET', `${PATH}/key`, undefined, 'viewer')).toBe(403)
  await call('GET', '/noted')
  expect(told).toMatchObject([
    { action: 'GET /things/{id}/key', outcome: 'refused', reason: 'forbidden', actor: { name: 'viewer' } },
    { action: 'GET /noted', outcome: 'done' },
  ])
})

test('a trail that cannot be written is told in the log, and keeps nobody from an answer', async () => {
  const { call, lines, things } = await start({ complete: () => Promise.reject(new Error('no room')) })
  expect(await call('PATCH', PATH, { name: 'Eve' })).toBe(200)
  expect(things.get(ID)).toMatchObject({ name: 'Eve' })
  expect(lines.filter(({ event }) => event === 'audit.write_failed')).toHaveLength(1)
  // What the server asked itself for is no line of its own.
  expect(lines.filter(({ event }) => event === 'http.request')).toHaveLength(1)
})

test('nobody else can ask as the server does', async () => {
  const { http } = await start()
  for (const secret of ['audit', '', 'Bearer', 'x'.repeat(43), `${TOKENS.viewer} `.repeat(5)]) {
    const headers = { authorization: `Bearer ${secret}` }
    expect((await http.operator.inject({ url: `/api/v1${PATH}`, headers })).statusCode).toBe(401)
  }
})
