import type { Verb, VerbArgument } from '../verb.ts'

const id: VerbArgument = { name: 'id', summary: 'id or name of the group', to: 'path', of: 'group' }
const devices: VerbArgument = {
  ...{ name: 'device', to: 'body', field: 'device_ids', multiple: true, of: 'device' },
  summary: 'enrollment ids, serial numbers or names',
}

/** Verbs about groups of devices. */
export const groupVerbs: readonly Verb[] = [
  {
    words: ['groups', 'create'],
    summary: 'Make a static group',
    arguments: [{ name: 'name', summary: 'its name', to: 'body' }],
    call: { method: 'POST', path: '/groups' },
  },
  {
    words: ['groups', 'list'],
    summary: 'List groups',
    call: { method: 'GET', path: '/groups', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['NAME', 'name'],
      ['KIND', 'kind'],
      ['DEVICES', 'member_count'],
    ],
  },
  {
    words: ['groups', 'get'],
    summary: 'Show a group',
    arguments: [id],
    call: { method: 'GET', path: '/groups/{id}' },
  },
  {
    words: ['groups', 'rename'],
    summary: 'Rename a static group',
    arguments: [id, { name: 'name', summary: 'the new name', to: 'body' }],
    call: { method: 'PATCH', path: '/groups/{id}' },
  },
  {
    words: ['groups', 'delete'],
    summary: 'Delete a static group',
    arguments: [id],
    call: { method: 'DELETE', path: '/groups/{id}' },
    done: 'Deleted.',
  },
  {
    words: ['groups', 'members'],
    summary: 'List the devices in a group',
    arguments: [id],
    call: { method: 'GET', path: '/groups/{id}/members', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['SERIAL', 'serial_number'],
      ['NAME', 'device_name'],
    ],
  },
  {
    words: ['groups', 'add'],
    summary: 'Add devices to a static group',
    arguments: [id, devices],
    call: { method: 'POST', path: '/groups/{id}/members' },
  },
  {
    words: ['groups', 'replace'],
    summary: 'Make these devices the only ones in a static group',
    arguments: [id, devices],
    call: { method: 'PUT', path: '/groups/{id}/members' },
  },
  {
    words: ['groups', 'remove'],
    summary: 'Take a device out of a static group',
    arguments: [
      id,
      { name: 'device_id', summary: 'enrollment id, serial number or name', to: 'path', of: 'device' },
    ],
    call: { method: 'DELETE', path: '/groups/{id}/members/{device_id}' },
    done: 'Taken out.',
  },
]
