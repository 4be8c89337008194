import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbArgument, VerbOption } from '../verb.ts'
import { searchOption, UsageError } from '../verb.ts'

const user: VerbArgument = { name: 'id', summary: 'user name or id of the person', to: 'path', of: 'user' }
const token: VerbArgument = { name: 'id', summary: 'id or name of the token', to: 'path', of: 'API token' }

const flag = (summary: string): VerbOption => ({ kind: 'boolean', value: 'true|false', summary, to: 'body' })

const userFields: Readonly<Record<string, VerbOption>> = {
  'display-name': { kind: 'text', value: 'NAME', summary: 'for people to read', to: 'body' },
  email: { kind: 'text_or_none', value: 'ADDRESS', summary: 'e-mail address', to: 'body' },
  'device-limit': {
    kind: 'integer_or_none',
    value: 'N',
    summary: 'devices to enrol; none = the default',
    to: 'body',
  },
  'password-file': {
    ...{ kind: 'text_file', value: 'FILE', to: 'body', field: 'password' },
    summary: 'holds the password of a local account',
  },
  'must-change-password': flag('the password is only for the first time'),
  'password-expires-at': { kind: 'time', value: 'TIME', summary: 'when the password ends', to: 'body' },
  'enrollment-manager': flag('enrols devices for others'),
  disabled: flag('may not enrol'),
  'sign-in-source': {
    ...{ kind: 'text_or_none', value: 'SOURCE', to: 'verb', field: 'source', of: 'sign-in source' },
    summary: 'with --subject: whom of this source the person is; none = of no source',
  },
  subject: {
    ...{ kind: 'text', value: 'SUBJECT', to: 'verb' },
    summary: 'what the source calls them: the sub, ImmutableID, name identifier or UPN',
  },
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

const updateSettings: Verb = {
  words: ['settings', 'set'],
  summary: 'Change settings',
  arguments: [
    {
      name: 'name=value',
      summary: 'such as default_device_limit=3; none is null',
      to: 'verb',
      multiple: true,
    },
  ],
  call: { method: 'PATCH', path: '/settings' },
  prepare: addSettings,
}

async function addSettings(call: ApiCall, { verb }: Input): Promise<ApiCall> {
  const pairs = (verb['name=value'] as string[]).map((text) => {
    const [, name, value] = /^([a-z][a-z_]*)=(.*)$/s.exec(text) ?? []
    if (name === undefined || value === undefined) {
      throw new UsageError(`${JSON.stringify(text)} is not name=value`, updateSettings)
    }
    return [name, settingValue(value)]
  })
  return { ...call, body: Object.fromEntries(pairs) }
}

function settingValue(text: string): unknown {
  if (text === 'none' || text === 'null') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

/** Verbs about people, tokens, settings. */
export const administrationVerbs: readonly Verb[] = [
  {
    words: ['users', 'create'],
    summary: 'Add a person',
    arguments: [{ name: 'user_name', summary: 'name to sign in with', to: 'body' }],
    options: userFields,
    call: { method: 'POST', path: '/users' },
    prepare: addSignIn,
  },
  {
    words: ['users', 'list'],
    summary: 'List people',
    options: {
      user: { kind: 'text', summary: 'only the one of this name', to: 'query', field: 'user_name' },
      ...searchOption,
    },
    call: { method: 'GET', path: '/users', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['USER', 'user_name'],
      ['NAME', 'display_name'],
      ['LIMIT', 'device_limit'],
      ['DISABLED', 'disabled'],
    ],
  },
  {
    words: ['users', 'get'],
    summary: 'Show a person',
    arguments: [user],
    call: { method: 'GET', path: '/users/{id}' },
  },
  {
    words: ['users', 'update'],
    summary: 'Change a person',
    arguments: [user],
    options: { 'user-name': { kind: 'text', summary: 'another user name', to: 'body' }, ...userFields },
    call: { method: 'PATCH', path: '/users/{id}' },
    prepare: addSignIn,
  },
  {
    words: ['users', 'delete'],
    summary: 'Remove a person',
    arguments: [user],
    call: { method: 'DELETE', path: '/users/{id}' },
    done: 'Removed.',
  },
  {
    words: ['api-tokens', 'create'],
    summary: 'Make an API token; its secret is shown once',
    arguments: [{ name: 'name', summary: 'what it is for', to: 'body' }],
    options: {
      role: {
        ...{ kind: 'text', to: 'body', required: true, choices: ['viewer', 'operator', 'admin'] },
        summary: 'viewer reads, operator acts, admin configures',
      },
      'expires-at': { kind: 'time', value: 'TIME', summary: 'when it ends', to: 'body' },
    },
    call: { method: 'POST', path: '/api-tokens' },
  },
  {
    words: ['api-tokens', 'list'],
    summary: 'List API tokens',
    call: { method: 'GET', path: '/api-tokens', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['NAME', 'name'],
      ['ROLE', 'role'],
      ['EXPIRES', 'expires_at'],
      ['LAST USED', 'last_used_at'],
    ],
  },
  {
    words: ['api-tokens', 'delete'],
    summary: 'Revoke an API token',
    arguments: [token],
    call: { method: 'DELETE', path: '/api-tokens/{id}' },
    done: 'Revoked.',
  },
  { words: ['settings', 'get'], summary: 'Show the settings', call: { method: 'GET', path: '/settings' } },
  updateSettings,
]
