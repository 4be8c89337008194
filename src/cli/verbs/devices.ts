import type { ApiClient } from '../client.ts'
import type { Input, Verb } from '../verb.ts'
import { callVerb, inPath, inQuery, listVerb, searchOption, timeOptions } from '../verb.ts'

const id = inPath('device', 'enrollment id or the beginning of it, serial number, or name of the device')

const TYPES = ['device', 'user', 'shared_ipad_user', 'user_enrollment_device', 'user_enrollment_user']

async function untilUnenrolled({ input }: { input: Input }, api: ApiClient) {
  const path = `/devices/${encodeURIComponent(input.path['id'] ?? '')}`
  const device = (await api({ method: 'GET', path, query: {} })) as { state?: string }
  return {
    outcome: device.state === 'unenrolled' ? ('ok' as const) : ('running' as const),
    answer: undefined,
  }
}

/** Verbs about enrolled devices. */
export const deviceVerbs: readonly Verb[] = [
  listVerb(
    'devices list',
    'List enrollments',
    '/devices',
    {
      ID: 'id',
      SERIAL: 'serial_number',
      STATE: 'state',
      PRODUCT: 'product_name',
      OS: 'os_version',
      USER: 'user_name',
      PUSH: 'push.state',
      'LAST SEEN': 'last_seen_at',
    },
    {
      options: {
        state: inQuery('text', 'only those that are', { choices: ['enrolled', 'unenrolled'] }),
        type: inQuery('text', 'only this kind', { choices: TYPES }),
        'serial-number': inQuery('text', 'only of this serial number'),
        udid: inQuery('text', 'only of this UDID'),
        user: inQuery('text', 'only of this user', { field: 'user_name' }),
        ...searchOption,
        ...timeOptions('seen last'),
      },
    },
  ),
  callVerb('devices get', 'Show a device with its inventory', 'GET /devices/{id}', { arguments: [id] }),
  listVerb(
    'devices timeline',
    'Show what happened to a device',
    '/devices/{id}/timeline',
    { AT: 'at', EVENT: 'type', REASON: 'reason', USER: 'user_name' },
    { arguments: [id] },
  ),
  listVerb(
    'devices commands',
    'List the commands of a device, pending and finished',
    '/devices/{id}/commands',
    {
      UUID: 'command_uuid',
      TYPE: 'request_type',
      STATE: 'state',
      'NOT NOW': 'not_now_count',
      SENT: 'sent_at',
      FINISHED: 'finished_at',
    },
    { arguments: [id] },
  ),
  listVerb(
    'devices groups',
    'List the groups that a device is in',
    '/devices/{id}/groups',
    { ID: 'id', NAME: 'name', KIND: 'kind', ADDED: 'added_at' },
    { arguments: [id] },
  ),
  listVerb(
    'devices profiles',
    'List the profiles that a device reported',
    '/devices/{id}/profiles',
    {
      IDENTIFIER: 'PayloadIdentifier',
      NAME: 'PayloadDisplayName',
      UUID: 'PayloadUUID',
      MANAGED: 'IsManaged',
    },
    { arguments: [id] },
  ),
  listVerb(
    'devices apps',
    'List the apps that a device reported',
    '/devices/{id}/apps',
    { IDENTIFIER: 'Identifier', NAME: 'Name', VERSION: 'ShortVersion', BYTES: 'BundleSize' },
    { arguments: [id] },
  ),
  callVerb('devices push', 'Wake a device', 'POST /devices/{id}/push', {
    arguments: [id],
    done: 'The push is on its way.',
  }),
  callVerb(
    'devices allow-re-enrollment',
    'Let another identity take the place of a device, once within the hour',
    'POST /devices/{id}/allow-re-enrollment',
    { arguments: [id] },
  ),
  callVerb('devices unenroll', 'Remove the enrollment profile from a device', 'POST /devices/{id}/unenroll', {
    arguments: [id],
    done: 'The device will be told.',
    progress: untilUnenrolled,
  }),
  callVerb('devices delete', 'Forget a device that is unenrolled', 'DELETE /devices/{id}', {
    arguments: [id],
    options: { force: inQuery('flag', 'forget it even while it is enrolled') },
    done: 'Forgotten.',
  }),
]
