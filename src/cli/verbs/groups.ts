import { callVerb, inPath, listVerb, type Verb, type VerbArgument } from '../verb.ts'

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

/** Verbs about groups of devices. */
export const groupVerbs: readonly Verb[] = [
  callVerb('groups create', 'Make a static group', 'POST /groups', {
    arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
  }),
  listVerb('groups list', 'List groups', '/groups', {
    ID: 'id',
    NAME: 'name',
    KIND: 'kind',
    DEVICES: 'member_count',
  }),
  callVerb('groups get', 'Show a group', 'GET /groups/{id}', { arguments: [id] }),
  callVerb('groups rename', 'Rename a static group', 'PATCH /groups/{id}', {
    arguments: [id, { name: 'name', summary: 'the new name', to: 'body' }],
  }),
  callVerb('groups delete', 'Delete a static group', 'DELETE /groups/{id}', {
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
]
