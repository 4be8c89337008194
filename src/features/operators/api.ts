import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { LINE_PATTERN } from '../../kernel/names.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { dates, datesOf, idParam, nothing, text, timeOrNull } from '../../kernel/schema.ts'
import type { Operators } from './operators.ts'
import { ROLES } from './roles.ts'
import type { ApiToken } from './store.ts'

const roleSchema = Type.Enum([...ROLES], { description: 'viewer reads, operator acts, admin configures.' })
const params = idParam('The id of the API token.')
const expiry = timeOrNull('When it ends by itself; null = never.')

const tokenFields = {
  id: text('The id of the token, not its secret.'),
  name: text('What it is for.'),
  role: roleSchema,
  expires_at: expiry,
  last_used_at: timeOrNull('When it was last used, to a minute or so; null = never.'),
  ...dates,
}
const tokenSchema = Type.Object(tokenFields, {
  title: 'ApiToken',
  description: 'An API token, without its secret.',
})

const newToken = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: LINE_PATTERN,
      description: 'What it is for.',
    }),
    role: roleSchema,
    expires_at: Type.Optional(expiry),
  },
  { title: 'NewApiToken', description: 'What makes an API token.' },
)

const createdToken = Type.Object(
  { ...tokenFields, secret: text('Shown this once; only its hash is kept.') },
  { title: 'CreatedApiToken', description: 'A new API token with its secret.' },
)

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
        schema: {
          summary: 'Make an API token',
          description: 'The answer is the only place that shows its secret.',
          body: newToken,
          response: { 201: createdToken },
        },
      },
      async (request, reply) => {
        const { name, role, expires_at: expires } = request.body
        const given = { name, role, expires_at: typeof expires === 'string' ? new Date(expires) : null }
        const { token, secret } = await operators.create(given, request.act)
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
          description: 'Oldest first, without their secrets.',
          querystring: Type.Object(pageQuery),
          response: { 200: pageOf(tokenSchema) },
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
        schema: {
          summary: 'One API token',
          description: 'Without its secret.',
          params,
          response: { 200: tokenSchema },
        },
      },
      async (request) => render(await operators.get(request.params.id)),
    )

    app.delete(
      '/api-tokens/:id',
      {
        config: { role: 'admin' },
        schema: {
          summary: 'Delete an API token',
          description:
            'It is refused from then on, by every process within 2 seconds. The last valid admin token stays.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await operators.remove(request.params.id, request.act)
        return reply.code(204).send()
      },
    )
  }
}

function render(token: ApiToken) {
  const { id, name, role } = token
  return {
    id,
    name,
    role,
    expires_at: token.expires_at?.toISOString() ?? null,
    last_used_at: token.last_used_at?.toISOString() ?? null,
    ...datesOf(token),
  }
}
