import type { ApiCall } from '../client.ts'
import type { Input, Verb } from '../verb.ts'
import {
  callVerb,
  inBody,
  inPath,
  inQuery,
  listVerb,
  searchOption,
  timeOptions,
  UsageError,
} from '../verb.ts'
import { untilAnswered } from './progress.ts'

const uuid = inPath('command', 'CommandUUID, or the beginning of it', 'uuid')

const sendOptions = {
  device: inBody('text', 'enrollment id, serial number or name; repeat it for several', {
    value: 'ID',
    field: 'device_ids',
    multiple: true,
    of: 'device',
  }),
  group: inBody('text', 'all members of a group; repeat it for several', {
    value: 'ID',
    field: 'group_ids',
    multiple: true,
    of: 'group',
  }),
  type: inBody('text', 'RequestType, such as DeviceInformation', { field: 'request_type' }),
  json: inBody('json', 'its parameters as a JSON object', { field: 'command' }),
  plist: inBody('base64_file', 'a whole command as a property list, instead of --type and --json'),
  priority: inBody('text', 'low, normal or high', { choices: ['low', 'normal', 'high'] }),
  'not-before': inBody('time', 'not sent before'),
  'expires-at': inBody('time', 'not sent after'),
  force: inBody('flag', 'send it to devices that it does not suit, too'),
  'dry-run': inBody('flag', 'check everything, queue nothing'),
}

/** Either a whole command or its type. */
async function checkSend(call: ApiCall, { body }: Input, verb: Verb): Promise<ApiCall> {
  const whole = body['plist'] !== undefined
  if (whole && (body['request_type'] !== undefined || body['command'] !== undefined)) {
    throw new UsageError('--plist is a whole command: --type and --json do not go with it', verb)
  }
  if (body['device_ids'] === undefined && body['group_ids'] === undefined)
    throw new UsageError('--device or --group is missing', verb)
  if (!whole && body['request_type'] === undefined) throw new UsageError('--type or --plist is missing', verb)
  return call
}

/** Verbs about commands. */
export const commandVerbs: readonly Verb[] = [
  callVerb('commands send', 'Queue a command for one or more devices', 'POST /commands', {
    options: sendOptions,
    prepare: checkSend,
    progress: untilAnswered,
  }),
  listVerb(
    'commands list',
    'List commands, newest first',
    '/commands',
    {
      UUID: 'uuid',
      TYPE: 'request_type',
      PRIORITY: 'priority',
      DEVICES: 'device_count',
      BY: 'created_by',
      CREATED: 'created_at',
    },
    {
      options: {
        type: inQuery('text', 'only this RequestType', { field: 'request_type' }),
        ...searchOption,
        ...timeOptions('made'),
      },
    },
  ),
  callVerb('commands get', 'Show a command and how far it got on each device', 'GET /commands/{uuid}', {
    arguments: [uuid],
  }),
  callVerb('commands cancel', 'Cancel a command where it has not been sent yet', 'DELETE /commands/{uuid}', {
    arguments: [uuid],
    done: 'Cancelled where it had not been sent.',
  }),
  listVerb(
    'command-types list',
    'List the commands that Apple’s schema has; --output json shows their keys too',
    '/command-types',
    {
      TYPE: 'request_type',
      IOS: 'platforms.ios.introduced',
      MACOS: 'platforms.macos.introduced',
      TVOS: 'platforms.tvos.introduced',
      CHANNELS: 'channels',
      SUPERVISED: 'supervised',
      'REPLACED BY': 'replaced_by',
    },
    { options: { type: inQuery('text', 'only this RequestType', { field: 'request_type' }) } },
  ),
]
