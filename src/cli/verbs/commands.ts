import type { ApiCall, ApiClient } from '../client.ts'
import type { Input, Verb, VerbArgument } from '../verb.ts'
import { searchOption, timeOptions, UsageError } from '../verb.ts'

const uuid: VerbArgument = {
  name: 'uuid',
  summary: 'CommandUUID, or the beginning of it',
  to: 'path',
  of: 'command',
}

const send: Verb = {
  words: ['commands', 'send'],
  summary: 'Queue a command for one or more devices',
  options: {
    device: {
      ...{ kind: 'text', value: 'ID', to: 'body', field: 'device_ids' },
      ...{ multiple: true, required: true, of: 'device' },
      summary: 'enrollment id, serial number or name; repeat it for several',
    },
    type: {
      kind: 'text',
      summary: 'RequestType, such as DeviceInformation',
      to: 'body',
      field: 'request_type',
    },
    json: { kind: 'json', summary: 'its parameters as a JSON object', to: 'body', field: 'command' },
    plist: {
      ...{ kind: 'base64_file', value: 'FILE', to: 'body' },
      summary: 'a whole command as a property list, instead of --type and --json',
    },
    priority: {
      ...{ kind: 'text', to: 'body', choices: ['low', 'normal', 'high'] },
      summary: 'low, normal or high',
    },
    'not-before': { kind: 'time', value: 'TIME', summary: 'not sent before', to: 'body' },
    'expires-at': { kind: 'time', value: 'TIME', summary: 'not sent after', to: 'body' },
    'dry-run': { kind: 'flag', summary: 'check everything, queue nothing', to: 'body' },
  },
  call: { method: 'POST', path: '/commands' },
  prepare: checkSend,
  progress: untilAnswered,
}

const OVER = new Set(['acknowledged', 'error', 'format_error', 'expired', 'cancelled'])

async function untilAnswered({ answer }: { answer: unknown }, api: ApiClient) {
  const { uuid: sent } = answer as { uuid?: string | null }
  // Nothing was queued by a dry run.
  if (typeof sent !== 'string') return { outcome: 'ok' as const, answer }
  const now = (await api({ method: 'GET', path: `/commands/${sent}`, query: {} })) as {
    deliveries: { state: string }[]
  }
  const states = now.deliveries.map(({ state }) => state)
  const isOver = states.every((state) => OVER.has(state))
  const isWell = states.every((state) => state === 'acknowledged')
  const outcome = isOver ? (isWell ? 'ok' : 'failed') : 'running'
  return { outcome, answer: now } as const
}

/** Either a whole command or its type. */
async function checkSend(call: ApiCall, { body }: Input): Promise<ApiCall> {
  const whole = body['plist'] !== undefined
  if (whole && (body['request_type'] !== undefined || body['command'] !== undefined)) {
    throw new UsageError('--plist is a whole command: --type and --json do not go with it', send)
  }
  if (!whole && body['request_type'] === undefined) throw new UsageError('--type or --plist is missing', send)
  return call
}

/** Verbs about commands. */
export const commandVerbs: readonly Verb[] = [
  send,
  {
    words: ['commands', 'list'],
    summary: 'List commands, newest first',
    options: {
      type: { kind: 'text', summary: 'only this RequestType', to: 'query', field: 'request_type' },
      ...searchOption,
      ...timeOptions('made'),
    },
    call: { method: 'GET', path: '/commands', paged: 'cursor' },
    columns: [
      ['UUID', 'uuid'],
      ['TYPE', 'request_type'],
      ['PRIORITY', 'priority'],
      ['DEVICES', 'device_count'],
      ['BY', 'created_by'],
      ['CREATED', 'created_at'],
    ],
  },
  {
    words: ['commands', 'get'],
    summary: 'Show a command and how far it got on each device',
    arguments: [uuid],
    call: { method: 'GET', path: '/commands/{uuid}' },
  },
  {
    words: ['commands', 'cancel'],
    summary: 'Cancel a command where it has not been sent yet',
    arguments: [uuid],
    call: { method: 'DELETE', path: '/commands/{uuid}' },
    done: 'Cancelled where it had not been sent.',
  },
]
