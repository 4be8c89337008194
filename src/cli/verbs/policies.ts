import { parseRecord } from '../../kernel/records.ts'
import { readInputFile } from '../arguments.ts'
import type { ApiCall, ApiClient } from '../client.ts'
import { callVerb, forVerb, inPath, inQuery, listVerb, UsageError, type Input, type Verb } from '../verb.ts'

const id = inPath('policy', 'id or name of the policy')

const documentOptions = {
  json: forVerb('json', 'the policy, or what changes of it, as a JSON object'),
  file: forVerb('text_file', 'a file with that JSON object'),
}

async function addDocument(call: ApiCall, { body, verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const { json, file } = given
  if (json !== undefined && file !== undefined)
    throw new UsageError('--json and --file do not go together', verb)
  const document = typeof file === 'string' ? parseRecord(file) : (json as object | undefined)
  if (file !== undefined && document === undefined)
    throw new UsageError('--file: its content is not a JSON object', verb)
  if (document === undefined && call.method === 'PATCH')
    throw new UsageError('nothing to change is given', verb)
  return { ...call, body: { ...document, ...body } }
}

const selection = {
  'serial-number': forVerb('text', 'a device; repeat it for several', { value: 'SERIAL', multiple: true }),
  csv: forVerb('text', 'a file with a serial number in the first field of each line', { value: 'FILE' }),
  'all-of': forVerb('text', 'all devices of this ADE server (id or name)', {
    value: 'ADE_SERVER',
    of: 'ADE server',
  }),
  'dry-run': inQuery('flag', 'say what would change, and change nothing'),
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
  callVerb('enrollment-policies create', 'Make an enrollment policy', 'POST /enrollment-policies', {
    arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
    options: documentOptions,
    prepare: addDocument,
  }),
  listVerb('enrollment-policies list', 'List enrollment policies', '/enrollment-policies', {
    ID: 'id',
    NAME: 'name',
    USER: 'user_affinity',
    'SIGN-IN': 'ade.sign_in',
    SUPERVISED: 'ade.supervised',
    LOCKED: 'ade.locked',
    ADE: 'ade.enabled',
  }),
  callVerb('enrollment-policies get', 'Show an enrollment policy', 'GET /enrollment-policies/{id}', {
    arguments: [id],
  }),
  callVerb(
    'enrollment-policies update',
    'Change an enrollment policy; what is left out stays',
    'PATCH /enrollment-policies/{id}',
    { arguments: [id], options: documentOptions, prepare: addDocument },
  ),
  callVerb(
    'enrollment-policies delete',
    'Delete an enrollment policy that no device has',
    'DELETE /enrollment-policies/{id}',
    { arguments: [id], done: 'Deleted.' },
  ),
  callVerb(
    'enrollment-policies assign',
    'Give devices a policy; Apple is told in the background',
    'POST /enrollment-policies/{id}/assign',
    { arguments: [id], options: selection, prepare: addSelection, isPartial, progress: untilAssigned },
  ),
  callVerb(
    'enrollment-policies unassign',
    'Take a policy from devices',
    'POST /enrollment-policies/{id}/unassign',
    { arguments: [id], options: selection, prepare: addSelection, isPartial },
  ),
]
