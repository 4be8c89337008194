import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbArgument } from '../verb.ts'
import { callVerb, forVerb, inBody, inPath, inQuery, listVerb, UsageError } from '../verb.ts'
import { statusVerb } from './deliveries.ts'
import { untilChanged } from './progress.ts'

const id = inPath('group', 'id or name of the group')
const devices: VerbArgument = {
  name: 'device',
  summary: 'enrollment ids, serial numbers or names',
  to: 'body',
  field: 'device_ids',
  multiple: true,
  of: 'device',
}
const device = inPath('device', 'enrollment id, serial number or name', 'device_id')

/** The contents as a document, or as the things that are named: profiles first. */
async function addItems(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const { document, profile = [], app = [], critical = false } = given
  const things = [
    ...(profile as string[]).map((thing) => ({ kind: 'profile', id: thing, critical })),
    ...(app as string[]).map((thing) => ({ kind: 'app', id: thing, critical })),
  ]
  if (document !== undefined && (things.length > 0 || critical === true))
    throw new UsageError('--contents does not go with --profile, --app and --critical', verb)
  if (document === undefined && things.length === 0)
    throw new UsageError('--contents, --profile or --app is missing', verb)
  return { ...call, body: document ?? { items: things } }
}

/** A group that follows a rule is a dynamic one. */
async function addKind(call: ApiCall, { body }: Input): Promise<ApiCall> {
  return { ...call, body: body['rule'] === undefined ? body : { kind: 'dynamic', ...body } }
}

/** Verbs about groups of devices. */
export const groupVerbs: readonly Verb[] = [
  callVerb('groups create', 'Make a group, static or by a rule', 'POST /groups', {
    arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
    options: { rule: inBody('document', 'the rule from which its members follow') },
    prepare: addKind,
  }),
  listVerb('groups list', 'List groups', '/groups', {
    ID: 'id',
    NAME: 'name',
    KIND: 'kind',
    DEVICES: 'member_count',
  }),
  callVerb('groups get', 'Show a group', 'GET /groups/{id}', { arguments: [id] }),
  callVerb('groups preview', 'Show who would be in a group of a rule', 'POST /groups/preview', {
    options: { rule: inBody('document', 'the rule', { required: true }) },
  }),
  callVerb('groups update', 'Change the name or the rule of a group', 'PATCH /groups/{id}', {
    arguments: [id],
    options: { name: inBody('text', 'another name'), rule: inBody('document', 'another rule') },
  }),
  callVerb('groups rename', 'Rename a group', 'PATCH /groups/{id}', {
    arguments: [id, { name: 'name', summary: 'the new name', to: 'body' }],
  }),
  callVerb('groups delete', 'Delete a group that nothing names', 'DELETE /groups/{id}', {
    arguments: [id],
    done: 'Deleted.',
  }),
  listVerb(
    'groups members',
    'List the devices in a group',
    '/groups/{id}/members',
    { ID: 'id', SERIAL: 'serial_number', NAME: 'device_name' },
    { arguments: [id] },
  ),
  callVerb('groups add', 'Add devices to a static group', 'POST /groups/{id}/members', {
    arguments: [id, devices],
  }),
  callVerb(
    'groups replace',
    'Make these devices the only ones in a static group',
    'PUT /groups/{id}/members',
    {
      arguments: [id, devices],
    },
  ),
  callVerb(
    'groups remove',
    'Take a device out of a static group',
    'DELETE /groups/{id}/members/{device_id}',
    {
      arguments: [id, device],
      done: 'Taken out.',
    },
  ),
  {
    ...callVerb('groups contents', 'List what a group delivers', 'GET /groups/{id}/contents', {
      arguments: [id],
    }),
    columns: {
      KIND: 'kind',
      ID: 'id',
      CRITICAL: 'critical',
      PRECEDENCE: 'precedence',
      EXCLUDE: 'exclude',
      COMMAND: 'request_type',
    },
  },
  callVerb(
    'groups put-contents',
    'Write what a group delivers, in place of what it delivered before',
    'PUT /groups/{id}/contents',
    {
      arguments: [id],
      options: {
        contents: forVerb('document', '{"items": [...]}, as the API takes it', { field: 'document' }),
        profile: forVerb('text', 'a profile (id or name); repeat it for several', {
          multiple: true,
          of: 'profile',
        }),
        app: forVerb('text', 'an app (id or name); repeat it for several', { multiple: true, of: 'app' }),
        critical: forVerb('flag', 'a phone in Setup Assistant waits for these'),
        'dry-run': inQuery('flag', 'say what would change, and change nothing'),
      },
      prepare: addItems,
      progress: untilChanged,
      isRecord: true,
    },
  ),
  statusVerb('groups', 'group'),
]
