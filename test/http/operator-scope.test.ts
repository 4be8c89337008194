import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { TOKENS, as, httpWorld } from '../support/http-world.ts'

const thing = Type.Object({
  name: Type.String({ minLength: 1 }),
  count: Type.Optional(Type.Integer()),
  kind: Type.Optional(Type.Enum(['small', 'large'])),
  inner: Type.Optional(Type.Object({ flag: Type.Boolean({ default: false }) })),
})

const operator: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/things',
    {
      config: { role: 'viewer' },
      schema: {
        querystring: Type.Object({
          limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
          all: Type.Optional(Type.Boolean()),
          tag: Type.Optional(Type.Array(Type.String())),
        }),
      },
    },
    async (request) => request.query,
  )
  app.post('/things', { config: { role: 'operator' }, schema: { body: thing } }, async (request, reply) =>
    reply.code(201).send({ by: request.operator.id, body: request.body }),
  )
  app.patch(
    '/things/:id',
    { config: { role: 'admin', etag: true }, schema: { body: thing } },
    async (request) => {
      request.act.checkVersion(7)
      return {}
    },
  )
  app.post('/things/:id/poke', { config: { role: 'operator' } }, async () => ({ poked: true }))
  app.get('/broken', { config: { role: 'viewer' } }, async () => {
    throw new Error('a secret of the inside')
  })
  app.get('/taken', { config: { role: 'viewer' } }, async () => {
    throw new AppError('conflict', 'The name is taken.', { fields: [{ path: 'name', message: 'is taken' }] })
  })
}

async function world() {
  const made = await httpWorld({ scopes: { operator } })
  return { ...made, inject: made.http.operator.inject.bind(made.http.operator) }
}

describe('who calls', () => {
  test.each([
    ['no token', undefined, 'Bearer realm="Firstboot"'],
    ['an unknown token', 'Bearer nobody', 'Bearer realm="Firstboot", error="invalid_token"'],
    ['Basic authentication', `Basic ${btoa(`x:${TOKENS.admin}`)}`, 'Bearer realm="Firstboot"'],
    ['nonsense', 'Bearer a b', 'Bearer realm="Firstboot"'],
  ])('with %s is a 401', async (_, authorization, challenge) => {
    const { inject } = await world()
    const headers = authorization === undefined ? {} : { authorization }
    const answer = await inject({ url: '/api/v1/things', headers })
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['www-authenticate']).toBe(challenge)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(answer.json()).toEqual({
      type: 'urn:firstboot:problem:unauthenticated',
      title: 'A valid API token is needed.',
      status: 401,
      detail: 'A valid API token is needed.',
      code: 'unauthenticated',
      request_id: answer.headers['x-request-id'],
    })
  })

  test('needs the role of the route or a greater one', async () => {
    const { inject } = await world()
    const post = async (role: 'viewer' | 'operator' | 'admin') =>
      inject({ method: 'POST', url: '/api/v1/things', headers: as(role), payload: { name: 'a' } })
    const refused = await post('viewer')
    expect(refused.statusCode).toBe(403)
    expect(refused.json()).toMatchObject({
      code: 'forbidden',
      detail: 'This needs the role operator; the token has viewer.',
    })
    expect((await post('operator')).json()).toEqual({ by: 'id-of-operator', body: { name: 'a' } })
    expect((await post('admin')).statusCode).toBe(201)
  })

  test('without a token even an unknown address is a 401, and a body is not looked at', async () => {
    const { inject } = await world()
    expect((await inject('/api/v1/nothing')).statusCode).toBe(401)
    const headers = { 'content-type': 'application/json' }
    expect((await inject({ method: 'POST', url: '/api/v1/things', headers, payload: '{' })).statusCode).toBe(
      401,
    )
  })

  test('a route without a role fails the start', async () => {
    const careless: FastifyPluginAsyncTypebox = async (app) => {
      app.get('/careless', async () => ({}))
    }
    await expect(httpWorld({ scopes: { operator: careless } })).rejects.toThrow(
      'The route GET /api/v1/careless declares no role.',
    )
  })
})

describe('bodies', () => {
  const send = async (payload: unknown, headers: Record<string, string> = {}) => {
    const { inject } = await world()
    return inject({
      method: 'POST',
      url: '/api/v1/things',
      headers: { ...as('admin'), 'content-type': 'application/json', ...headers },
      payload: typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload),
    })
  }

  test.each([
    [
      'an unknown field',
      { name: 'a', other: 1 },
      'other',
      'is not known here',
      'The field other is not known here.',
    ],
    [
      'an unknown inner field',
      { name: 'a', inner: { more: 1 } },
      'inner.more',
      'is not known here',
      'The field inner.more is not known here.',
    ],
    ['a missing field', {}, 'name', 'is missing', 'The field name is missing.'],
    [
      'a number as text',
      { name: 'a', count: '7' },
      'count',
      'must be integer',
      'The field count must be integer.',
    ],
    [
      'another word',
      { name: 'a', kind: 'huge' },
      'kind',
      'must be one of small, large',
      'The field kind must be one of small, large.',
    ],
    ['a list', [], '', 'must be object', 'The body must be object.'],
    ['null', null, '', 'must be object', 'The body must be object.'],
  ])('with %s are refused by name', async (_, payload, path, message, detail) => {
    const answer = await send(payload)
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'invalid_request', detail, errors: [{ path, message }] })
  })

  test('defaults are filled in', async () => {
    expect((await send({ name: 'a', inner: {} })).json().body).toEqual({ name: 'a', inner: { flag: false } })
  })

  test.each([
    ['that are no JSON', '{"name"', 'invalid_json', 400],
    ['with __proto__', '{"name":"a","__proto__":{"x":1}}', 'invalid_json', 400],
    ['that are no UTF-8', Buffer.from('{"name":"\xff"}', 'latin1'), 'invalid_json', 400],
    ['of no bytes', '', 'invalid_request', 400],
    ['with U+0000', '{"name":"a\\u0000"}', 'invalid_request', 400],
    ['with U+0000 in a name', '{"a\\u0000":1}', 'invalid_request', 400],
    ['nested without end', `{"name":${'{"a":'.repeat(30_000)}1${'}'.repeat(30_000)}}`, 'invalid_json', 400],
    ['of lists without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'invalid_json', 400],
    ['of 17 MB', `{"name":"${'a'.repeat(17 * 1024 * 1024)}"}`, 'payload_too_large', 413],
  ])('%s are refused', async (_, payload, code, status) => {
    const answer = await send(payload)
    expect([answer.statusCode, answer.json().code]).toEqual([status, code])
  })

  test('of another type are a 415', async () => {
    const answer = await send('name=a', { 'content-type': 'application/x-www-form-urlencoded' })
    expect([answer.statusCode, answer.json().code]).toEqual([415, 'unsupported_media_type'])
  })

  test('a route that takes none refuses one', async () => {
    const { inject } = await world()
    const poke = (payload?: object) =>
      inject({
        method: 'POST',
        url: '/api/v1/things/1/poke',
        headers: as('admin'),
        ...(payload && { payload }),
      })
    expect((await poke()).json()).toEqual({ poked: true })
    expect((await poke({})).statusCode).toBe(200)
    expect((await poke({ hard: true })).json()).toMatchObject({ detail: 'This address takes no body.' })
  })
})

describe('query strings', () => {
  const get = async (query: string) => {
    const { inject } = await world()
    return inject({ url: `/api/v1/things${query}`, headers: as('viewer') })
  }

  test('become what they spell', async () => {
    expect((await get('')).json()).toEqual({ limit: 100 })
    expect((await get('?limit=5&all=true&tag=a')).json()).toEqual({ limit: 5, all: true, tag: ['a'] })
    expect((await get('?tag=a&tag=b')).json()).toEqual({ limit: 100, tag: ['a', 'b'] })
  })

  test.each([
    ['?limit=0', 'The query parameter limit must be >= 1.'],
    ['?limit=1001', 'The query parameter limit must be <= 1000.'],
    ['?limit=5.5', 'The query parameter limit must be integer.'],
    ['?limit=', 'The query parameter limit must be integer.'],
    ['?limit=1&limit=2', 'The query parameter limit must be integer.'],
    ['?all=yes', 'The query parameter all must be boolean.'],
    ['?other=1', 'The query parameter other is not known here.'],
  ])('%s is refused', async (query, detail) => {
    const answer = await get(query)
    expect([answer.statusCode, answer.json().detail]).toEqual([400, detail])
  })

  test.each(['/things/%00/poke', '/things?tag=%00'])('%s is refused for its U+0000', async (url) => {
    const { inject } = await world()
    const answer = await inject({
      method: url.endsWith('poke') ? 'POST' : 'GET',
      url: `/api/v1${url}`,
      headers: as('admin'),
    })
    expect(answer.json()).toMatchObject({ status: 400, detail: 'The address has a U+0000 in it.' })
  })

  test('routes that declare none take none', async () => {
    const { inject } = await world()
    const answer = await inject({
      method: 'POST',
      url: '/api/v1/things/1/poke?force=true',
      headers: as('admin'),
    })
    expect(answer.json().detail).toBe('The query parameter force is not known here.')
  })
})

describe('answers', () => {
  test('an error carries its code, detail and fields', async () => {
    const { inject } = await world()
    const answer = await inject({ url: '/api/v1/taken', headers: as('viewer') })
    expect(answer.statusCode).toBe(409)
    expect(answer.json()).toMatchObject({
      type: 'urn:firstboot:problem:conflict',
      detail: 'The name is taken.',
      errors: [{ path: 'name', message: 'is taken' }],
    })
  })

  test('a bug is a 500 that tells nothing; the log has it under the same request id', async () => {
    const { inject, lines } = await world()
    const answer = await inject({ url: '/api/v1/broken', headers: as('viewer') })
    expect(answer.statusCode).toBe(500)
    expect(answer.body).not.toContain('secret')
    expect(lines.at(-1)).toMatchObject({
      level: 'error',
      request_id: answer.json().request_id,
      err: { message: 'a secret of the inside' },
      actor_id: 'id-of-viewer',
    })
  })

  test('404 and 405 are problems', async () => {
    const { inject } = await world()
    const unknown = await inject({ url: '/api/v1/nothing', headers: as('viewer') })
    expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'not_found'])
    const wrong = await inject({ method: 'DELETE', url: '/api/v1/things/1/poke', headers: as('viewer') })
    expect([wrong.statusCode, wrong.json().code, wrong.headers.allow]).toEqual([
      405,
      'method_not_allowed',
      'POST',
    ])
    const bad = await inject({ url: '/api/v1/%zz', headers: as('viewer') })
    expect([bad.statusCode, bad.json().code]).toEqual([400, 'invalid_request'])
  })

  test('If-Match of another version is a 412', async () => {
    const { inject } = await world()
    const patch = (tag: string) =>
      inject({
        method: 'PATCH',
        url: '/api/v1/things/1',
        headers: { ...as('admin'), 'if-match': tag },
        payload: { name: 'a' },
      })
    expect((await patch('"7"')).statusCode).toBe(200)
    expect((await patch('"6"')).json()).toMatchObject({ status: 412, code: 'precondition_failed' })
  })

  test('HEAD is a GET without its body', async () => {
    const { inject } = await world()
    const answer = await inject({ method: 'HEAD', url: '/api/v1/things', headers: as('viewer') })
    expect([answer.statusCode, answer.body]).toEqual([200, ''])
    expect((await inject({ method: 'HEAD', url: '/api/v1/things' })).statusCode).toBe(401)
  })

  test('a request id from outside counts only from a trusted proxy', async () => {
    const { inject } = await world()
    const headers = { ...as('viewer'), 'x-request-id': 'forged' }
    expect((await inject({ url: '/api/v1/things', headers })).headers['x-request-id']).not.toBe('forged')
    const trusting = await httpWorld({ scopes: { operator }, config: { trustedProxies: ['127.0.0.0/8'] } })
    const answer = await trusting.http.operator.inject({ url: '/api/v1/things', headers })
    expect(answer.headers['x-request-id']).toBe('forged')
  })
})

describe('the description', () => {
  test('names every route with its problems, and needs a token', async () => {
    const { inject } = await world()
    expect((await inject('/api/v1/openapi.json')).statusCode).toBe(401)
    const document = (await inject({ url: '/api/v1/openapi.json', headers: as('viewer') })).json()
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { version: '1.2.3' },
      security: [{ api_token: [] }],
      components: { securitySchemes: { api_token: { type: 'http', scheme: 'bearer' } } },
    })
    expect(Object.keys(document.paths)).toEqual([
      '/api/v1/things',
      '/api/v1/things/{id}',
      '/api/v1/things/{id}/poke',
      '/api/v1/broken',
      '/api/v1/taken',
    ])
    const { post } = document.paths['/api/v1/things']
    expect(post).toMatchObject({ operationId: 'postThings', tags: ['Things'] })
    expect(post.requestBody.content['application/json'].schema.additionalProperties).toBe(false)
    expect(post.parameters).toContainEqual(expect.objectContaining({ in: 'header', name: 'idempotency-key' }))
    expect(post.responses['422'].content).toEqual({
      'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
    })
    expect(document.components.schemas.Problem.required).toContain('code')
  })

  test('a browser can open it and the pages with a token as the password', async () => {
    const { inject } = await world()
    const authorization = `Basic ${btoa(`anyone:${TOKENS.viewer}`)}`
    const refused = await inject('/api/docs')
    expect([refused.statusCode, refused.headers['www-authenticate']]).toEqual([
      401,
      [expect.stringMatching(/^Basic realm=/), 'Bearer realm="Firstboot"'],
    ])
    const page = await inject({ url: '/api/docs', headers: { authorization } })
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    const assets = [...page.body.matchAll(/(?:href|src)="(\.?[^":]+\.(?:css|js))"/g)].map(
      ([, path]) => path ?? '',
    )
    expect(assets.length).toBeGreaterThan(2)
    for (const asset of assets) {
      const url = new URL(asset, 'http://localhost/api/docs').pathname
      expect([url, (await inject({ url, headers: { authorization } })).statusCode]).toEqual([url, 200])
      expect((await inject(url)).statusCode).toBe(401)
    }
    expect((await inject({ url: '/api/v1/openapi.json', headers: { authorization } })).statusCode).toBe(200)
  })
})
