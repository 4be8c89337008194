import { readInputFile } from '../arguments.ts'
import type { ApiCall, ApiClient } from '../client.ts'
import type { Input, Verb, VerbArgument, VerbOption } from '../verb.ts'
import { searchOption } from '../verb.ts'

const id: VerbArgument = { name: 'id', summary: 'id or name of the ADE server', to: 'path', of: 'ADE server' }
const serial: VerbArgument = {
  ...{ name: 'serial', to: 'path', of: 'serial number' },
  summary: 'serial number, or the beginning of it',
}

const filter = (summary: string, choices?: readonly string[]): VerbOption => ({
  kind: 'text',
  summary,
  to: 'query',
  ...(choices && { choices }),
})

const STATES = [
  ...['not_contacted', 'contacted', 'enrolled', 'unenrolled'],
  ...['blocked', 'released', 'removed'],
]

const storeToken: Verb = {
  words: ['ade-servers', 'token'],
  summary: 'Store the server token (.p7m) that Apple gave',
  arguments: [id, { name: 'file', summary: 'the .p7m file', to: 'verb' }],
  options: {
    'apple-id': { kind: 'text', summary: 'the Apple Account that it was made with', to: 'query' },
    force: {
      ...{ kind: 'flag', to: 'query' },
      summary: 'even if it is of another server of Apple’s, or of another Apple Account',
    },
  },
  call: { method: 'PUT', path: '/ade-servers/{id}/token' },
  prepare: addToken,
}

async function addToken(call: ApiCall, { verb }: Input): Promise<ApiCall> {
  const body = await readInputFile(String(verb['file']), 'file', storeToken)
  return { ...call, body, contentType: 'application/pkcs7-mime' }
}

/** `none` stands for null. */
async function addPolicy(call: ApiCall, { verb }: Input): Promise<ApiCall> {
  const policy = verb['policy_id']
  return { ...call, body: { policy_id: policy === 'none' ? null : policy } }
}

async function untilSynced({ input, answer }: { input: Input; answer: unknown }, api: ApiClient) {
  const { id: sync } = answer as { id: string }
  const path = `/ade-servers/${encodeURIComponent(input.path['id'] ?? '')}/syncs/${encodeURIComponent(sync)}`
  const now = (await api({ method: 'GET', path, query: {} })) as { state: string }
  const ended = now.state === 'succeeded' ? 'ok' : 'failed'
  return { outcome: now.state === 'running' ? 'running' : ended, answer: now } as const
}

/** Verbs about Apple's portal: servers of ours there, and the serial numbers that they have. */
export const adeVerbs: readonly Verb[] = [
  {
    words: ['ade-servers', 'create'],
    summary: 'Add an ADE server, an entry of Apple’s portal',
    arguments: [{ name: 'name', summary: 'as in the portal', to: 'body' }],
    call: { method: 'POST', path: '/ade-servers' },
  },
  {
    words: ['ade-servers', 'list'],
    summary: 'List ADE servers',
    call: { method: 'GET', path: '/ade-servers', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['NAME', 'name'],
      ['ORGANIZATION', 'org_name'],
      ['TOKEN UNTIL', 'token_expires_at'],
      ['DEVICES', 'device_count'],
      ['LAST SYNC', 'sync.last.state'],
      ['STOPPED', 'stopped_reason'],
    ],
  },
  {
    words: ['ade-servers', 'get'],
    summary: 'Show an ADE server, its token and its syncs',
    arguments: [id],
    call: { method: 'GET', path: '/ade-servers/{id}' },
  },
  {
    words: ['ade-servers', 'rename'],
    summary: 'Rename an ADE server',
    arguments: [id, { name: 'name', summary: 'the new name', to: 'body' }],
    call: { method: 'PATCH', path: '/ade-servers/{id}' },
  },
  {
    words: ['ade-servers', 'delete'],
    summary: 'Forget an ADE server',
    arguments: [id],
    options: { force: { kind: 'flag', summary: 'even while Apple has devices on it', to: 'query' } },
    call: { method: 'DELETE', path: '/ade-servers/{id}' },
    done: 'Forgotten.',
  },
  {
    words: ['ade-servers', 'key'],
    summary: 'Print the encryption key for Apple’s portal (.pem)',
    arguments: [id],
    call: { method: 'GET', path: '/ade-servers/{id}/encryption-key' },
  },
  {
    words: ['ade-servers', 'new-key'],
    summary: 'Make a new encryption key; the old one goes on until a token for the new one comes',
    arguments: [id],
    call: { method: 'POST', path: '/ade-servers/{id}/encryption-key' },
  },
  storeToken,
  {
    words: ['ade-servers', 'sync'],
    summary: 'Start a sync with Apple',
    arguments: [id],
    call: { method: 'POST', path: '/ade-servers/{id}/syncs' },
    progress: untilSynced,
  },
  {
    words: ['ade-servers', 'syncs'],
    summary: 'List syncs, newest first',
    arguments: [id],
    call: { method: 'GET', path: '/ade-servers/{id}/syncs', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['KIND', 'kind'],
      ['STATE', 'state'],
      ['STARTED', 'started_at'],
      ['SEEN', 'seen'],
      ['ADDED', 'added'],
      ['CHANGED', 'changed'],
      ['REMOVED', 'removed'],
      ['ERROR', 'error'],
    ],
  },
  {
    words: ['ade-servers', 'default-policy'],
    summary: 'Set the policy that new serial numbers get',
    arguments: [
      id,
      {
        ...{ name: 'policy', to: 'verb', field: 'policy_id', of: 'policy' },
        summary: 'id or name of an enrollment policy, or none',
      },
    ],
    call: { method: 'PUT', path: '/ade-servers/{id}/default-policy' },
    prepare: addPolicy,
  },
  {
    words: ['ade-devices', 'list'],
    summary: 'List the serial numbers that Apple assigned to us',
    options: {
      state: filter('only those that are', STATES),
      'serial-number': filter('only this one'),
      policy: { ...filter('only those with this policy (id or name)'), field: 'policy_id', of: 'policy' },
      server: {
        ...filter('only those of this ADE server (id or name)'),
        ...{ field: 'ade_server_id', of: 'ADE server' },
      },
      ...searchOption,
    },
    call: { method: 'GET', path: '/ade-devices', paged: 'cursor' },
    columns: [
      ['SERIAL', 'serial_number'],
      ['STATE', 'state'],
      ['MODEL', 'model'],
      ['POLICY', 'policy_id'],
      ['ASSIGNMENT', 'assignment.state'],
      ['PROBLEM', 'assignment.error'],
    ],
  },
  {
    words: ['ade-devices', 'get'],
    summary: 'Show a serial number, and whether Apple and the device have its policy',
    arguments: [serial],
    call: { method: 'GET', path: '/ade-devices/{serial}' },
  },
  {
    words: ['ade-devices', 'block'],
    summary: 'Refuse a device at power-on',
    arguments: [serial],
    call: { method: 'POST', path: '/ade-devices/{serial}/block' },
  },
  {
    words: ['ade-devices', 'unblock'],
    summary: 'Let a device enrol again',
    arguments: [serial],
    call: { method: 'POST', path: '/ade-devices/{serial}/unblock' },
  },
  {
    words: ['ade-devices', 'release'],
    summary: 'Release a device from the organisation, for good',
    arguments: [serial],
    options: {
      confirm: {
        kind: 'text',
        value: 'SERIAL',
        summary: 'the serial number again',
        to: 'body',
        required: true,
      },
    },
    call: { method: 'POST', path: '/ade-devices/{serial}/release' },
  },
]
