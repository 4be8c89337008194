import { Type } from 'typebox'
import { text, textOrNull, time, timeOrNull } from '../../../kernel/schema.ts'
import { changed, flag, info, number, texts, warn, way, type Kinds } from './kind.ts'

const server = { ade_server_id: text('The ADE server.') }
const named = { ...server, name: text('The name of the ADE server.') }
const token = { ...named, apple_id: textOrNull('The Apple ID that downloads its tokens.') }

const devices = {
  count: number('How many serial numbers.'),
  serial_numbers: texts('The serial numbers, or the first of many.'),
}

const assigned = {
  ...server,
  policy_id: textOrNull('The enrollment policy; null where it was taken away.'),
  profile_uuid: textOrNull('The profile at Apple; null where it was taken away.'),
  ...devices,
}

const run = {
  ...server,
  sync_id: text('The sync.'),
  kind: Type.Enum(['full', 'incremental'], { description: 'Of all devices, or of what has changed.' }),
  trigger: Type.Enum(['operator', 'schedule', 'first_token'], { description: 'What started it.' }),
}

const ended = {
  ...run,
  seen: number('Records that Apple gave.'),
  added: number('Serial numbers that are new here.'),
  changed: number('Serial numbers of which something else is known now.'),
  removed: number('Serial numbers that are ours no more.'),
  left_out: Type.Optional(number('Records that were passed over; left out when there were none.')),
  error: Type.Optional(text('Why it has not succeeded.')),
  drifted: Type.Optional(number('Of one that has succeeded: devices that had another profile at Apple.')),
}

/** Apple's cloud: its servers, syncs, serial numbers and profiles. */
export const ADE = {
  'ade_device.assigned': info('Apple has the enrollment policy for these serial numbers', assigned, 'count'),
  'ade_device.assignment_failed': warn(
    'Apple did not take the enrollment policy for these serial numbers; it is tried again',
    assigned,
    'count',
  ),
  'ade_device.blocked': info('A serial number was blocked: it is refused at power-on', {}),
  'ade_device.claimed': info(
    'A device that came in another way gives a serial number that is ours at Apple',
    { way },
  ),
  'ade_device.drifted': warn(
    'Devices had another profile at Apple than their policy says; it is put right',
    { ...server, ...devices },
    'count',
  ),
  'ade_device.policy_set': info(
    'Serial numbers were given an enrollment policy, or had it taken from them',
    {
      policy_id: text('The enrollment policy.'),
      changed: number('Serial numbers that were changed.'),
      unchanged: Type.Optional(number('Where one was given: serial numbers that had it before.')),
      problems: number('Entries of the request with which nothing could be done.'),
      will_unenroll: Type.Optional(
        number('Where one was given: enrolled devices that will be unenrolled for it.'),
      ),
    },
    'changed',
  ),
  'ade_device.released': info('A device was released from the organisation, for good', server),
  'ade_device.removed': info(
    'Serial numbers are no longer assigned to this server at Apple',
    {
      ...server,
      count: Type.Optional(devices.count),
      serial_numbers: Type.Optional(devices.serial_numbers),
    },
    'count',
  ),
  'ade_device.unblocked': info('A serial number is no longer blocked', {}),
  'ade_profile.defined': info('An enrollment policy was defined at Apple', {
    ...server,
    policy_id: text('The enrollment policy.'),
    profile_uuid: text('The profile at Apple.'),
    name: Type.Optional(text('Its name there; left out where Apple was asked what came of a call.')),
  }),
  'ade_profile.refused': warn('Apple does not take an enrollment policy; it is tried again later', {
    ...server,
    policy_id: text('The enrollment policy.'),
    error: text('What Apple says.'),
  }),
  'ade_server.created': info('An ADE server was made', named),
  'ade_server.deleted': info('An ADE server was deleted', {
    ...named,
    devices: number('Serial numbers that it still had.'),
  }),
  'ade_server.resumed': info('Apple answers an ADE server again: it goes on', named),
  'ade_server.stopped': warn('An ADE server has stopped until somebody acts', {
    ...named,
    error: text('What Apple says.'),
    what_to_do: text('What makes it go on.'),
  }),
  'ade_server.token_expiring': warn('The token of an ADE server expires soon, or has expired', {
    ...token,
    expires_at: time('When the token expires.'),
    days: number('Days until then at which this is told; 0: it has expired.'),
    what_to_do: text('How to get the next one.'),
  }),
  'ade_server.token_stored': info('The token of an ADE server was stored', {
    ...token,
    expires_at: timeOrNull('When the token expires.'),
    first: flag('Whether the server had none before.'),
    another_server: flag('Whether it is the token of another server at Apple than the one before.'),
  }),
  'ade_server.updated': info('An ADE server was changed', { ...named, changed }),
  'ade_sync.failed': warn('A sync with Apple has failed; the next one goes on', ended),
  'ade_sync.records_left_out': warn('Records of a sync without a serial number were passed over', {
    ...server,
    sync_id: run.sync_id,
    count: number('How many records.'),
    records: Type.Array(
      Type.Object({
        index: number('Its place in what Apple gave, from 0.'),
        problem: text('What is wrong with it.'),
      }),
      { description: 'The first of them.' },
    ),
  }),
  'ade_sync.started': info('A sync with Apple has begun', run),
  'ade_sync.succeeded': info('A sync with Apple has succeeded', ended),
  'ade_sync.timed_out': warn('A sync with Apple took too long; the next one goes on', ended),
} as const satisfies Kinds
