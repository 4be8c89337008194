import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbArgument, VerbOption } from '../verb.ts'
import { callVerb, forVerb, inBody, inPath, inQuery, listVerb, searchOption, UsageError } from '../verb.ts'

const user = inPath('user', 'user name or id of the person')
const token = inPath('API token', 'id or name of the token')

const userFields: Readonly<Record<string, VerbOption>> = {
  'display-name': inBody('text', 'for people to read', { value: 'NAME' }),
  email: inBody('text_or_none', 'e-mail address', { value: 'ADDRESS' }),
  'device-limit': inBody('integer_or_none', 'devices to enrol; none = the default', { value: 'N' }),
  'password-file': inBody('text_file', 'holds the password of a local account', { field: 'password' }),
  'must-change-password': inBody('boolean', 'the password is only for the first time'),
  'password-expires-at': inBody('time', 'when the password ends'),
  'enrollment-manager': inBody('boolean', 'enrols devices for others'),
  disabled: inBody('boolean', 'may not enrol'),
  'sign-in-source': forVerb(
    'text_or_none',
    'with --subject: whom of this source the person is; none = of no source',
    { value: 'SOURCE', field: 'source', of: 'sign-in source' },
  ),
  subject: forVerb('text', 'what the source calls them: the sub, ImmutableID, name identifier or UPN'),
}

/** `sign_in` from its two options. */
const addSignIn: Verb['prepare'] = async (call, { verb: { source, subject } }) => {
  if (source === undefined && subject === undefined) {
    if (call.method === 'PATCH' && call.body === undefined) throw new UsageError('nothing to change is given')
    return call
  }
  const isNone = source === null && subject === undefined
  if (!isNone && (typeof source !== 'string' || typeof subject !== 'string'))
    throw new UsageError('--sign-in-source and --subject are given together, or --sign-in-source none alone')
  const sign_in = isNone ? null : { source_id: source, subject }
  return { ...call, body: { ...(call.body as object | undefined), sign_in } }
}

const pairs: VerbArgument = {
  name: 'name=value',
  summary: 'such as default_device_limit=3; none is null',
  to: 'verb',
  multiple: true,
}

async function addSettings(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const members = (given['name=value'] as string[]).map((text) => {
    const [, name, value] = /^([a-z][a-z_]*)=(.*)$/s.exec(text) ?? []
    if (name === undefined || value === undefined) {
      throw new UsageError(`${JSON.stringify(text)} is not name=value`, verb)
    }
    return [name, settingValue(value)]
  })
  return { ...call, body: Object.fromEntries(members) }
}

function settingValue(text: string): unknown {
  if (text === 'none' || text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

/** Verbs about people, tokens, settings. */
export const administrationVerbs: readonly Verb[] = [
  callVerb('users create', 'Add a person', 'POST /users', {
    arguments: [{ name: 'user_name', summary: 'name to sign in with', to: 'body' }],
    options: userFields,
    prepare: addSignIn,
  }),
  listVerb(
    'users list',
    'List people',
    '/users',
    { ID: 'id', USER: 'user_name', NAME: 'display_name', LIMIT: 'device_limit', DISABLED: 'disabled' },
    {
      options: {
        user: inQuery('text', 'only the one of this name', { field: 'user_name' }),
        ...searchOption,
      },
    },
  ),
  callVerb('users get', 'Show a person', 'GET /users/{id}', { arguments: [user] }),
  callVerb('users update', 'Change a person', 'PATCH /users/{id}', {
    arguments: [user],
    options: { 'user-name': inBody('text', 'another user name'), ...userFields },
    prepare: addSignIn,
  }),
  callVerb('users delete', 'Remove a person', 'DELETE /users/{id}', { arguments: [user], done: 'Removed.' }),
  callVerb('api-tokens create', 'Make an API token; its secret is shown once', 'POST /api-tokens', {
    arguments: [{ name: 'name', summary: 'what it is for', to: 'body' }],
    options: {
      role: inBody('text', 'viewer reads, operator acts, admin configures', {
        required: true,
        choices: ['viewer', 'operator', 'admin'],
      }),
      'expires-at': inBody('time', 'when it ends'),
    },
  }),
  listVerb('api-tokens list', 'List API tokens', '/api-tokens', {
    ID: 'id',
    NAME: 'name',
    ROLE: 'role',
    EXPIRES: 'expires_at',
    'LAST USED': 'last_used_at',
  }),
  callVerb('api-tokens delete', 'Revoke an API token', 'DELETE /api-tokens/{id}', {
    arguments: [token],
    done: 'Revoked.',
  }),
  callVerb('settings get', 'Show the settings', 'GET /settings'),
  callVerb('settings set', 'Change settings', 'PATCH /settings', {
    arguments: [pairs],
    prepare: addSettings,
  }),
]
