import type { ApiCall } from '../client.ts'
import type { Input, Thing, Verb, VerbArgument } from '../verb.ts'
import { callVerb, forVerb, inBody, inPath, inQuery, listVerb, UsageError } from '../verb.ts'
import { untilChanged } from './progress.ts'

const STATES = ['pending', 'sent', 'waiting', 'installed', 'failed', 'expired', 'removing']
const device = inPath('device', 'enrollment id or the beginning of it, serial number, or name of the device')
const change: VerbArgument = { name: 'id', summary: 'id of the change', to: 'path' }

const retryOptions = {
  failed: forVerb('flag', 'only what has failed'),
  force: inBody('flag', 'send what is installed again, too'),
}

async function addState(call: ApiCall, { verb: given }: Input): Promise<ApiCall> {
  return given['failed'] === true ? { ...call, body: { ...(call.body as object), state: 'failed' } } : call
}

/** How the deliveries of a group, profile or app are; `noun` and path have the same name. */
export function statusVerb(noun: 'groups' | 'profiles' | 'apps', of: Thing): Verb {
  const verb = listVerb(
    `${noun} status`,
    `Count the deliveries of a ${of} by state, or list the devices in one`,
    `/${noun}/{id}/status`,
    {
      DEVICE: 'device_id',
      SERIAL: 'serial_number',
      NAME: 'device_name',
      KIND: 'kind',
      THING: 'id',
      REVISION: 'revision',
      REASON: 'reason',
      UPDATED: 'updated_at',
    },
    {
      arguments: [inPath(of, `id or name of the ${of}`)],
      options: { state: inQuery('text', 'list the devices with one that is', { choices: STATES }) },
    },
  )
  return verb
}

/** Tries the deliveries of a profile or app again. */
export function retryVerb(noun: 'profiles' | 'apps', of: Thing): Verb {
  return callVerb(
    `${noun} retry`,
    `Try the deliveries of a ${of} again, on all its devices`,
    `POST /${noun}/{id}/deliveries/retry`,
    {
      arguments: [inPath(of, `id or name of the ${of}`)],
      options: retryOptions,
      prepare: addState,
      progress: untilChanged,
    },
  )
}

/** Whose deliveries are foretold, and with which contents. */
async function addContents(call: ApiCall, { body, verb: given }: Input, verb: Verb): Promise<ApiCall> {
  if ((body['device_id'] === undefined) === (body['serial_number'] === undefined))
    throw new UsageError('one of --device and --serial-number is needed', verb)
  const { group_id, contents } = given
  if ((group_id === undefined) !== (contents === undefined))
    throw new UsageError('--group and --contents go together', verb)
  if (group_id === undefined) return call
  return { ...call, body: { ...body, contents: { ...(contents as object), group_id } } }
}

const predict = {
  ...callVerb('predictions get', 'Show what a device would get, and why', 'POST /predictions', {
    options: {
      device: inBody('text', 'a device: its enrollment id, serial number or name', {
        field: 'device_id',
        of: 'device',
      }),
      'serial-number': inBody('text', 'one that may not have come yet', { value: 'SERIAL' }),
      group: forVerb('text', 'as if this group had the contents that --contents says', {
        field: 'group_id',
        of: 'group',
      }),
      contents: forVerb('document', 'as `groups put-contents` takes them'),
    },
    prepare: addContents,
  }),
  columns: {
    KIND: 'kind',
    ID: 'id',
    IDENTIFIER: 'identifier',
    REVISION: 'revision',
    CRITICAL: 'critical',
    UNCERTAIN: 'uncertain',
    BECAUSE: 'because.group_name',
  },
} satisfies Verb

/** Verbs about what devices get of their groups. */
export const deliveryVerbs: readonly Verb[] = [
  listVerb(
    'devices deliveries',
    'List what a device has of its groups, and is to have',
    '/devices/{id}/deliveries',
    {
      KIND: 'kind',
      NAME: 'name',
      IDENTIFIER: 'identifier',
      REVISION: 'revision',
      STATE: 'state',
      REASON: 'reason',
      CRITICAL: 'critical',
      BECAUSE: 'because.group_name',
    },
    { arguments: [device] },
  ),
  callVerb('devices retry', 'Try the deliveries of a device again', 'POST /devices/{id}/deliveries/retry', {
    arguments: [device],
    options: retryOptions,
    prepare: addState,
    progress: untilChanged,
  }),
  predict,
  callVerb('changes get', 'Show how far a change has come with its devices', 'GET /changes/{id}', {
    arguments: [change],
  }),
  callVerb('changes stop', 'Stop a change: what has not gone out does not', 'POST /changes/{id}/stop', {
    arguments: [change],
  }),
]
