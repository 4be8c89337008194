import type { FastifyPluginAsync } from 'fastify'
import { type Static, Type } from 'typebox'
import { pageQuery } from '../../kernel/paging.ts'
import { resourceApi } from '../../kernel/resource-api.ts'
import { datesOf, searchQuery } from '../../kernel/schema.ts'
import { newUserSchema, userPatchSchema, userSchema } from './schema.ts'
import type { User } from './store.ts'
import type { UserFields, Users } from './users.ts'

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
}): FastifyPluginAsync {
  const { users } = deps
  return resourceApi({
    path: '/users',
    id: 'The id of the user, not the name.',
    view: userSchema,
    render,
    create: {
      summary: 'Add a user',
      description: 'Only the name is needed. Somebody without a password signs in by a sign-in source.',
      body: newUserSchema,
      run: (body, act) => users.create({ ...DEFAULTS, ...toFields(body), user_name: body.user_name }, act),
    },
    list: {
      summary: 'List users by name',
      description: 'People who enrol devices, those whom a sign-in source made too.',
      query: Type.Object({
        ...pageQuery,
        ...searchQuery,
        user_name: Type.Optional(Type.String({ minLength: 1, description: 'Only the user of this name.' })),
      }),
      run: users.list,
    },
    get: {
      summary: 'One user',
      description: 'Without the password, which nobody is told.',
      run: users.get,
    },
    update: {
      summary: 'Change a user',
      description: 'A JSON merge patch; null gives the default.',
      body: userPatchSchema,
      run: (id, patch, act) => users.update(id, toFields(patch), act),
    },
    remove: {
      summary: 'Delete a user',
      description: 'Refused while the user has enrolled devices.',
      run: users.remove,
    },
  })
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
    ...datesOf(user),
  }
}
