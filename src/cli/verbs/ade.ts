import { readInputFile } from '../arguments.ts'
import type { ApiCall, ApiClient } from '../client.ts'
import type { Input, Verb, VerbArgument } from '../verb.ts'
import { callVerb, inBody, inPath, inQuery, listVerb, searchOption } from '../verb.ts'

const id = inPath('ADE server', 'id or name of the ADE server')
const serial = inPath('serial number', 'serial number, or the beginning of it', 'serial')
const policy: VerbArgument = {
  name: 'policy',
  summary: 'id or name of an enrollment policy, or none',
  to: 'verb',
  field: 'policy_id',
  of: 'policy',
}

const STATES = ['not_contacted', 'contacted', 'enrolled', 'unenrolled', 'blocked', 'released', 'removed']

async function addToken(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const body = await readInputFile(String(given['file']), 'file', verb)
  return { ...call, body, contentType: 'application/pkcs7-mime' }
}

/** `none` stands for null. */
async function addPolicy(call: ApiCall, { verb }: Input): Promise<ApiCall> {
  const wanted = verb['policy_id']
  return { ...call, body: { policy_id: wanted === 'none' ? null : wanted } }
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
  callVerb('ade-servers create', 'Add an ADE server, an entry of Apple’s portal', 'POST /ade-servers', {
    arguments: [{ name: 'name', summary: 'as in the portal', to: 'body' }],
  }),
  listVerb('ade-servers list', 'List ADE servers', '/ade-servers', {
    ID: 'id',
    NAME: 'name',
    ORGANIZATION: 'org_name',
    'TOKEN UNTIL': 'token_expires_at',
    DEVICES: 'device_count',
    'LAST SYNC': 'sync.last.state',
    STOPPED: 'stopped_reason',
  }),
  callVerb('ade-servers get', 'Show an ADE server, its token and its syncs', 'GET /ade-servers/{id}', {
    arguments: [id],
  }),
  callVerb('ade-servers rename', 'Rename an ADE server', 'PATCH /ade-servers/{id}', {
    arguments: [id, { name: 'name', summary: 'the new name', to: 'body' }],
  }),
  callVerb('ade-servers delete', 'Forget an ADE server', 'DELETE /ade-servers/{id}', {
    arguments: [id],
    options: { force: inQuery('flag', 'even while Apple has devices on it') },
    done: 'Forgotten.',
  }),
  callVerb(
    'ade-servers key',
    'Print the encryption key for Apple’s portal (.pem)',
    'GET /ade-servers/{id}/encryption-key',
    { arguments: [id] },
  ),
  callVerb(
    'ade-servers new-key',
    'Make a new encryption key; the old one goes on until a token for the new one comes',
    'POST /ade-servers/{id}/encryption-key',
    { arguments: [id] },
  ),
  callVerb(
    'ade-servers token',
    'Store the server token (.p7m) that Apple gave',
    'PUT /ade-servers/{id}/token',
    {
      arguments: [id, { name: 'file', summary: 'the .p7m file', to: 'verb' }],
      options: {
        'apple-id': inQuery('text', 'the Apple Account that it was made with'),
        force: inQuery('flag', 'even if it is of another server of Apple’s, or of another Apple Account'),
      },
      prepare: addToken,
    },
  ),
  callVerb('ade-servers sync', 'Start a sync with Apple', 'POST /ade-servers/{id}/syncs', {
    arguments: [id],
    progress: untilSynced,
  }),
  listVerb(
    'ade-servers syncs',
    'List syncs, newest first',
    '/ade-servers/{id}/syncs',
    {
      ID: 'id',
      KIND: 'kind',
      STATE: 'state',
      STARTED: 'started_at',
      SEEN: 'seen',
      ADDED: 'added',
      CHANGED: 'changed',
      REMOVED: 'removed',
      ERROR: 'error',
    },
    { arguments: [id] },
  ),
  callVerb(
    'ade-servers default-policy',
    'Set the policy that new serial numbers get',
    'PUT /ade-servers/{id}/default-policy',
    { arguments: [id, policy], prepare: addPolicy },
  ),
  listVerb(
    'ade-devices list',
    'List the serial numbers that Apple assigned to us',
    '/ade-devices',
    {
      SERIAL: 'serial_number',
      STATE: 'state',
      MODEL: 'model',
      POLICY: 'policy_id',
      ASSIGNMENT: 'assignment.state',
      PROBLEM: 'assignment.error',
    },
    {
      options: {
        state: inQuery('text', 'only those that are', { choices: STATES }),
        'serial-number': inQuery('text', 'only this one'),
        policy: inQuery('text', 'only those with this policy (id or name)', {
          field: 'policy_id',
          of: 'policy',
        }),
        server: inQuery('text', 'only those of this ADE server (id or name)', {
          field: 'ade_server_id',
          of: 'ADE server',
        }),
        ...searchOption,
      },
    },
  ),
  callVerb(
    'ade-devices get',
    'Show a serial number, and whether Apple and the device have its policy',
    'GET /ade-devices/{serial}',
    { arguments: [serial] },
  ),
  callVerb('ade-devices block', 'Refuse a device at power-on', 'POST /ade-devices/{serial}/block', {
    arguments: [serial],
  }),
  callVerb('ade-devices unblock', 'Let a device enrol again', 'POST /ade-devices/{serial}/unblock', {
    arguments: [serial],
  }),
  callVerb(
    'ade-devices release',
    'Release a device from the organisation, for good',
    'POST /ade-devices/{serial}/release',
    {
      arguments: [serial],
      options: { confirm: inBody('text', 'the serial number again', { value: 'SERIAL', required: true }) },
    },
  ),
]
