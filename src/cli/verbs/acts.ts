import type { ApiCall } from '../client.ts'
import type { Input, Verb, VerbOption } from '../verb.ts'
import { callVerb, forVerb, inBody, inPath, UsageError } from '../verb.ts'
import { untilAnswered } from './progress.ts'

const id = inPath('device', 'enrollment id or the beginning of it, serial number, or name of the device')
const progress = untilAnswered

const pin = inBody('text_file', 'holds the six digits that unlock a Mac; - is what comes in', {
  field: 'pin',
})
const shown: Readonly<Record<string, VerbOption>> = {
  message: inBody('text', 'what the device shows', { value: 'TEXT' }),
  'phone-number': inBody('text', 'whom to call', { value: 'NUMBER' }),
}

/** `return_to_service` from its two options. */
async function addReturn(call: ApiCall, { verb: given }: Input): Promise<ApiCall> {
  const { return_to_service: wanted, wifi_profile: wifi } = given
  if (wanted !== true && wifi === undefined) return call
  const return_to_service = wifi === undefined ? {} : { wifi_profile_id: wifi }
  return { ...call, body: { ...(call.body as object), return_to_service } }
}

async function addSwitch(call: ApiCall, { verb: given }: Input, verb: Verb): Promise<ApiCall> {
  const { mode } = given
  if (mode !== 'on' && mode !== 'off') throw new UsageError('<on|off> is on or off', verb)
  const told = call.body ?? {}
  if (mode === 'off' && Object.keys(told).length > 0)
    throw new UsageError('lost mode is ended without a message', verb)
  return { ...call, body: { enabled: mode === 'on', ...told } }
}

/** Verbs that do something to a device at once. */
export const actVerbs: readonly Verb[] = [
  callVerb('devices lock', 'Lock a device', 'POST /devices/{id}/lock', {
    arguments: [id],
    options: { ...shown, 'pin-file': pin },
    progress,
  }),
  callVerb('devices erase', 'Erase a device: all that is on it is lost', 'POST /devices/{id}/erase', {
    arguments: [id],
    options: {
      'return-to-service': forVerb('flag', 'have it enroll again by itself'),
      'wifi-profile': forVerb('text', 'the same, with the Wi-Fi network of this profile', {
        value: 'PROFILE',
        of: 'profile',
      }),
      'preserve-data-plan': inBody('flag', 'keep the plan of an eSIM'),
      obliteration: inBody('text', 'of a Mac: whether the whole disk may be wiped', {
        choices: ['never', 'fallback', 'always'],
      }),
      'pin-file': pin,
    },
    prepare: addReturn,
    progress,
  }),
  callVerb('devices clear-passcode', 'Clear the passcode', 'POST /devices/{id}/clear-passcode', {
    arguments: [id],
    progress,
  }),
  callVerb('devices lost-mode', 'Put a device into lost mode, or end it', 'POST /devices/{id}/lost-mode', {
    arguments: [id, { name: 'on|off', summary: 'into it, or out of it', to: 'verb', field: 'mode' }],
    options: { ...shown, footnote: inBody('text', 'what stands below that', { value: 'TEXT' }) },
    prepare: addSwitch,
    progress,
  }),
  callVerb('devices locate', 'Ask a device in lost mode where it is', 'POST /devices/{id}/locate', {
    arguments: [id],
    progress,
  }),
  callVerb('devices restart', 'Restart a device', 'POST /devices/{id}/restart', {
    arguments: [id],
    progress,
  }),
  callVerb('devices shut-down', 'Turn a device off', 'POST /devices/{id}/shut-down', {
    arguments: [id],
    progress,
  }),
  callVerb('devices rename', 'Give a device another name', 'POST /devices/{id}/rename', {
    arguments: [id, { name: 'device_name', summary: 'the new name', to: 'body' }],
    progress,
  }),
  callVerb('devices refresh', 'Ask a device for its whole inventory', 'POST /devices/{id}/refresh', {
    arguments: [id],
    progress,
  }),
  callVerb(
    'devices lock-pin',
    'Show the PIN with which a Mac was locked last',
    'GET /devices/{id}/lock-pin',
    {
      arguments: [id],
    },
  ),
  callVerb(
    'devices bypass-code',
    'Show the code that bypasses the Activation Lock, or ask the device for it',
    'GET /devices/{id}/activation-lock-bypass-code',
    { arguments: [id] },
  ),
]
