import type { ApiClient } from '../client.ts'
import type { Input, Verb, VerbArgument, VerbOption } from '../verb.ts'
import { searchOption, timeOptions } from '../verb.ts'

const id: VerbArgument = {
  ...{ name: 'id', to: 'path', of: 'device' },
  summary: 'enrollment id or the beginning of it, serial number, or name of the device',
}
const filter = (summary: string, choices?: readonly string[]): VerbOption => ({
  kind: 'text',
  summary,
  to: 'query',
  ...(choices && { choices }),
})

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
  {
    words: ['devices', 'list'],
    summary: 'List enrollments',
    options: {
      state: filter('only those that are', ['enrolled', 'unenrolled']),
      type: filter('only this kind', TYPES),
      'serial-number': filter('only of this serial number'),
      udid: filter('only of this UDID'),
      user: { ...filter('only of this user'), field: 'user_name' },
      ...searchOption,
      ...timeOptions('seen last'),
    },
    call: { method: 'GET', path: '/devices', paged: 'cursor' },
    columns: [
      ['ID', 'id'],
      ['SERIAL', 'serial_number'],
      ['STATE', 'state'],
      ['PRODUCT', 'product_name'],
      ['OS', 'os_version'],
      ['USER', 'user_name'],
      ['PUSH', 'push.state'],
      ['LAST SEEN', 'last_seen_at'],
    ],
  },
  {
    words: ['devices', 'get'],
    summary: 'Show a device with its inventory',
    arguments: [id],
    call: { method: 'GET', path: '/devices/{id}' },
  },
  {
    words: ['devices', 'timeline'],
    summary: 'Show what happened to a device',
    arguments: [id],
    call: { method: 'GET', path: '/devices/{id}/timeline', paged: 'cursor' },
    columns: [
      ['AT', 'at'],
      ['EVENT', 'type'],
      ['REASON', 'reason'],
      ['USER', 'user_name'],
    ],
  },
  {
    words: ['devices', 'commands'],
    summary: 'List the commands of a device, pending and finished',
    arguments: [id],
    call: { method: 'GET', path: '/devices/{id}/commands', paged: 'cursor' },
    columns: [
      ['UUID', 'command_uuid'],
      ['TYPE', 'request_type'],
      ['STATE', 'state'],
      ['NOT NOW', 'not_now_count'],
      ['SENT', 'sent_at'],
      ['FINISHED', 'finished_at'],
    ],
  },
  {
    words: ['devices', 'profiles'],
    summary: 'List the profiles that a device reported',
    arguments: [id],
    call: { method: 'GET', path: '/devices/{id}/profiles', paged: 'cursor' },
    columns: [
      ['IDENTIFIER', 'PayloadIdentifier'],
      ['NAME', 'PayloadDisplayName'],
      ['UUID', 'PayloadUUID'],
      ['MANAGED', 'IsManaged'],
    ],
  },
  {
    words: ['devices', 'apps'],
    summary: 'List the apps that a device reported',
    arguments: [id],
    call: { method: 'GET', path: '/devices/{id}/apps', paged: 'cursor' },
    columns: [
      ['IDENTIFIER', 'Identifier'],
      ['NAME', 'Name'],
      ['VERSION', 'ShortVersion'],
      ['BYTES', 'BundleSize'],
    ],
  },
  {
    words: ['devices', 'push'],
    summary: 'Wake a device',
    arguments: [id],
    call: { method: 'POST', path: '/devices/{id}/push' },
    done: 'The push is on its way.',
  },
  {
    words: ['devices', 'allow-re-enrollment'],
    summary: 'Let another identity take the place of a device, once within the hour',
    arguments: [id],
    call: { method: 'POST', path: '/devices/{id}/allow-re-enrollment' },
  },
  {
    words: ['devices', 'unenroll'],
    summary: 'Remove the enrollment profile from a device',
    arguments: [id],
    call: { method: 'POST', path: '/devices/{id}/unenroll' },
    done: 'The device will be told.',
    progress: untilUnenrolled,
  },
  {
    words: ['devices', 'delete'],
    summary: 'Forget a device that is unenrolled',
    arguments: [id],
    options: { force: { kind: 'flag', summary: 'forget it even while it is enrolled', to: 'query' } },
    call: { method: 'DELETE', path: '/devices/{id}' },
    done: 'Forgotten.',
  },
]
