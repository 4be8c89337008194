import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from 'typebox'
import { etagOf } from '../../kernel/etag.ts'
import { pageOf, pageQuery } from '../../kernel/paging.ts'
import { idParam, nothing, searchQuery } from '../../kernel/schema.ts'
import { newUserSchema, userPatchSchema, userSchema } from './schema.ts'
import type { User } from './store.ts'
import type { UserFields, Users } from './users.ts'

const params = idParam('The id of the user, not the name.')

const DEFAULTS = {
  display_name: '',
  email: null,
  password: null,
  device_limit: null,
  enrollment_manager: false,
  disabled: false,
  must_change_password: false,
  password_expires_at: null,
  sign_in: null,
} satisfies Omit<UserFields, 'user_name'>

/** `/users`: people who enrol devices. */
export function usersApi(deps: {
  users: Pick<Users, 'create' | 'get' | 'list' | 'remove' | 'update'>
}): FastifyPluginAsyncTypebox {
  const { users } = deps
  return async (app) => {
    app.post(
      '/users',
      {
        config: { role: 'admin', etag: true },
        schema: {
          summary: 'Add a user',
          description: 'Only the name is needed. Somebody without a password signs in by a sign-in source.',
          body: newUserSchema,
          response: { 201: userSchema },
        },
      },
      async (request, reply) => {
        const { user_name: userName } = request.body
        const user = await users.create(
          { ...DEFAULTS, ...toFields(request.body), user_name: userName },
          request.act,
        )
        return reply
          .code(201)
          .headers({ location: `/api/v1/users/${user.id}`, etag: etagOf(user.version) })
          .send(render(user))
      },
    )

    app.get(
      '/users',
      {
        config: { role: 'viewer' },
        schema: {
          summary: 'List users by name',
          description: 'People who enrol devices, those whom a sign-in source made too.',
          querystring: Type.Object({
            ...pageQuery,
            ...searchQuery,
            user_name: Type.Optional(
              Type.String({ minLength: 1, description: 'Only the user of this name.' }),
            ),
          }),
          response: { 200: pageOf(userSchema) },
        },
      },
      async (request) => {
        const { items, next_cursor } = await users.list(request.query)
        return { items: items.map(render), next_cursor }
      },
    )

    app.get(
      '/users/:id',
      {
        config: { role: 'viewer', etag: true },
        schema: {
          summary: 'One user',
          description: 'Without the password, which nobody is told.',
          params,
          response: { 200: userSchema },
        },
      },
      async (request, reply) => {
        const user = await users.get(request.params.id)
        return reply.header('etag', etagOf(user.version)).send(render(user))
      },
    )

    app.patch(
      '/users/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          summary: 'Change a user',
          description: 'A JSON merge patch; null gives the default.',
          params,
          body: userPatchSchema,
          response: { 200: userSchema },
        },
      },
      async (request, reply) => {
        const user = await users.update(request.params.id, toFields(request.body), request.act)
        return reply.header('etag', etagOf(user.version)).send(render(user))
      },
    )

    app.delete(
      '/users/:id',
      {
        config: { role: 'admin', etag: true },
        schema: {
          summary: 'Delete a user',
          description: 'Refused while the user has enrolled devices.',
          params,
          response: { 204: nothing },
        },
      },
      async (request, reply) => {
        await users.remove(request.params.id, request.act)
        return reply.code(204).send()
      },
    )
  }
}

/** The fields that the body names, null being their default. */
function toFields(body: Static<typeof userPatchSchema>): Partial<UserFields> {
  const named = Object.entries(body).filter(([, value]) => value !== undefined)
  const fields = named.map(([name, value]) => [name, value ?? DEFAULTS[name as keyof typeof DEFAULTS]])
  const { password_expires_at: expiry, ...rest } = Object.fromEntries(fields) as Partial<UserFields>
  return {
    ...rest,
    ...(expiry === undefined ? {} : { password_expires_at: expiry === null ? null : new Date(expiry) }),
  }
}

function render({ version: _version, sign_in_source_id, sign_in_subject, ...user }: User) {
  return {
    ...user,
    sign_in:
      sign_in_source_id === null || sign_in_subject === null
        ? null
        : { source_id: sign_in_source_id, subject: sign_in_subject },
    password_expires_at: user.password_expires_at?.toISOString() ?? null,
    created_at: user.created_at.toISOString(),
    updated_at: user.updated_at.toISOString(),
  }
}
