import { readInputFile } from '../arguments.ts'
import type { ApiCall, ApiClient } from '../client.ts'
import type { Input, Verb, VerbArgument, VerbOption } from '../verb.ts'
import { UsageError } from '../verb.ts'

const id: VerbArgument = { name: 'id', summary: 'id or name of the policy', to: 'path', of: 'policy' }

const documentOptions: Readonly<Record<string, VerbOption>> = {
  json: { kind: 'json', summary: 'the policy, or what changes of it, as a JSON object', to: 'verb' },
  file: { kind: 'text_file', value: 'FILE', summary: 'a file with that JSON object', to: 'verb' },
}

const create: Verb = {
  words: ['enrollment-policies', 'create'],
  summary: 'Make an enrollment policy',
  arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
  options: documentOptions,
  call: { method: 'POST', path: '/enrollment-policies' },
  prepare: addDocument,
}

const update: Verb = {
  words: ['enrollment-policies', 'update'],
  summary: 'Change an enrollment policy; what is left out stays',
  arguments: [id],
  options: documentOptions,
  call: { method: 'PATCH', path: '/enrollment-policies/{id}' },
  prepare: addDocument,
}

async function addDocument(call: ApiCall, { body, verb }: Input): Promise<ApiCall> {
  const made = call.method === 'POST' ? create : update
  const { json, file } = verb
  if (json !== undefined && file !== undefined)
    throw new UsageError('--json and --file do not go together', made)
  const document = typeof file === 'string' ? parseObject(file, made) : (json as object | undefined)
  if (document === undefined && made === update) throw new UsageError('nothing to change is given', made)
  return { ...call, body: { ...document, ...body } }
}

function parseObject(text: string, verb: Verb): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Told below, as every other content that is no object.
  }
  throw new UsageError('--file: its content is not a JSON object', verb)
}

const selection: Readonly<Record<string, VerbOption>> = {
  'serial-number': {
    ...{ kind: 'text', value: 'SERIAL', to: 'verb', multiple: true },
    summary: 'a device; repeat it for several',
  },
  csv: {
    ...{ kind: 'text', value: 'FILE', to: 'verb' },
    summary: 'a file with a serial number in the first field of each line',
  },
  'all-of': {
    ...{ kind: 'text', value: 'ADE_SERVER', to: 'verb', of: 'ADE server' },
    summary: 'all devices of this ADE server (id or name)',
  },
}

const dryRun = {
  'dry-run': { kind: 'flag', summary: 'say what would change, and change nothing', to: 'query' },
} as const

const assign: Verb = {
  words: ['enrollment-policies', 'assign'],
  summary: 'Give devices a policy; Apple is told in the background',
  arguments: [id],
  options: { ...selection, ...dryRun },
  call: { method: 'POST', path: '/enrollment-policies/{id}/assign' },
  prepare: (call, input) => addSelection(call, input, assign),
  isPartial,
  progress: untilAssigned,
}

const unassign: Verb = {
  words: ['enrollment-policies', 'unassign'],
  summary: 'Take a policy from devices',
  arguments: [id],
  options: { ...selection, ...dryRun },
  call: { method: 'POST', path: '/enrollment-policies/{id}/unassign' },
  prepare: (call, input) => addSelection(call, input, unassign),
  isPartial,
}

/** Some serial numbers could not be given the policy, or rid of it. */
function isPartial(answer: unknown): boolean {
  return ((answer as { problems?: unknown[] } | undefined)?.problems ?? []).length > 0
}

type AdeDevices = { items: { assignment: { state: string } | null }[]; next_cursor: string | null }

/** Until Apple has the policy for every serial number that is to have it. */
async function untilAssigned(
  { input, answer }: { input: Input; answer: unknown },
  api: ApiClient,
): Promise<{ outcome: 'running' | 'ok' | 'failed'; answer: unknown }> {
  const query: Record<string, string> = { policy_id: input.path['id'] ?? '', limit: '1000' }
  let hasFailed = false
  for (;;) {
    const { items, next_cursor: cursor } = (await api({
      method: 'GET',
      path: '/ade-devices',
      query,
    })) as AdeDevices
    const states = items.map(({ assignment }) => assignment?.state)
    if (states.some((state) => state === 'pending' || state === 'throttled'))
      return { outcome: 'running', answer }
    hasFailed ||= states.includes('failed')
    if (cursor === null) return { outcome: hasFailed ? 'failed' : 'ok', answer }
    query['cursor'] = cursor
  }
}

/** Exactly one way of naming the devices. */
async function addSelection(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const { serial_number: serials, csv, all_of: server } = given
  if ([serials, csv, server].filter((way) => way !== undefined).length !== 1)
    throw new UsageError('one of --serial-number, --csv and --all-of is needed', verb)
  if (serials !== undefined) return { ...call, body: { serial_numbers: serials } }
  if (server !== undefined) return { ...call, body: { all: true, ade_server_id: server } }
  return { ...call, body: await readInputFile(String(csv), 'csv', verb), contentType: 'text/csv' }
}

/** Verbs about enrollment policies. */
export const policyVerbs: readonly Verb[] = [
  create,
  {
    words: ['enrollment-policies', 'list'],
    summary: 'List enrollment policies',
    call: { method: 'GET', path: '/enrollment-policies', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['NAME', 'name'],
      ['USER', 'user_affinity'],
      ['SIGN-IN', 'ade.sign_in'],
      ['SUPERVISED', 'ade.supervised'],
      ['LOCKED', 'ade.locked'],
      ['ADE', 'ade.enabled'],
    ],
  },
  {
    words: ['enrollment-policies', 'get'],
    summary: 'Show an enrollment policy',
    arguments: [id],
    call: { method: 'GET', path: '/enrollment-policies/{id}' },
  },
  update,
  {
    words: ['enrollment-policies', 'delete'],
    summary: 'Delete an enrollment policy that no device has',
    arguments: [id],
    call: { method: 'DELETE', path: '/enrollment-policies/{id}' },
    done: 'Deleted.',
  },
  assign,
  unassign,
]
