import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import type { Operators } from './operators.ts'
import { ROLES } from './roles.ts'
import type { ApiToken } from './store.ts'

const time = Type.String({ format: 'date-time' })
const optionalTime = Type.Union([time, Type.Null()])
const roleSchema = Type.Enum([...ROLES], { description: 'viewer reads, operator acts, admin configures.' })
const nothing = Type.Unsafe<undefined>({ type: 'null', description: 'Done.' })
const params = Type.Object({ id: Type.String() })

const tokenFields = {
  id: Type.String(),
  name: Type.String(),
  role: roleSchema,
  expires_at: optionalTime,
  last_used_at: optionalTime,
  created_at: time,
  updated_at: time,
}

const newToken = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 200, pattern: String.raw`^[^\x00-\x1f\x7f]+$` }),
  role: roleSchema,
  expires_at: Type.Optional(optionalTime),
})

const createdToken = Type.Object({
  ...tokenFields,
  secret: Type.String({ description: 'Shown this once; only its hash is kept.' }),
})

/** `/api-tokens`: who may call the operator API. */
export function apiTokensApi(deps: {
  operators: Pick<Operators, 'create' | 'get' | 'list' | 'remove'>
}): FastifyPluginAsyncTypebox {
  const { operators } = deps
  return async (app) => {
    app.post(
      '/api-tokens',
      {
        config: { role: 'admin' },
        schema: { summary: 'Make an API token', body: newToken, response: { 201: createdToken } },
      },
      async (request, reply) => {
        const { name, role, expires_at: expires } = request.body
        const given = { name, role, expires_at: typeof expires === 'string' ? new Date(expires) : null }
        const { token, secret } = await operators.create(given, {
          actor: request.actor,
          requestId: request.id,
        })
        return reply
          .code(201)
          .header('location', `/api/v1/api-tokens/${token.id}`)
          .send({ ...render(token), secret })
      },
    )

    app.get(
      '/api-tokens',
      {
        config: { role: 'viewer' },
        schema: {
          summary: 'List API tokens',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(Type.Object(tokenFields)) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await operators.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )

    app.get(
      '/api-tokens/:id',
      {
        config: { role: 'viewer' },
        schema: { summary: 'One API token', params, response: { 200: Type.Object(tokenFields) } },
      },
      async (request) => render(await operators.get(request.params.id)),
    )

    app.delete(
      '/api-tokens/:id',
      {
        config: { role: 'admin' },
        schema: { summary: 'Delete an API token', params, response: { 204: nothing } },
      },
      async (request, reply) => {
        await operators.remove(request.params.id, { actor: request.actor, requestId: request.id })
        return reply.code(204).send()
      },
    )
  }
}

function render(token: ApiToken) {
  return {
    ...token,
    expires_at: token.expires_at?.toISOString() ?? null,
    last_used_at: token.last_used_at?.toISOString() ?? null,
    created_at: token.created_at.toISOString(),
    updated_at: token.updated_at.toISOString(),
  }
}
