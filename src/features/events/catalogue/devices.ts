import { Type } from 'typebox'
import { text, textOrNull, time } from '../../../kernel/schema.ts'
import { commandUuid, flag, info, number, texts, warn, type Kinds } from './kind.ts'

const command = {
  command_uuid: commandUuid,
  request_type: textOrNull('Its RequestType; null where nothing is known of the command any more.'),
}

/** The answer that ended a command, as the database writes it: without what is null. */
const answered = {
  command_uuid: commandUuid,
  request_type: Type.Optional(
    text('Its RequestType; left out where nothing is known of the command any more.'),
  ),
  unreadable: Type.Optional(text('What of the answer could not be read.')),
}

const tally = number('How often the device has said TokenUpdate since it began to enroll.')
const type = text('The type of the enrollment: a device, a user, or one of a user enrollment.')

const missingThing = Type.Object(
  {
    kind: text('Whether it is a profile or an app.'),
    id: text('Its id.'),
    name: text('Its name.'),
    identifier: textOrNull('The identifier by which the device knows it.'),
    state: text('The state of its delivery.'),
    reason: textOrNull('Why it was not there.'),
  },
  { additionalProperties: false },
)

/** Enrolled devices: what becomes of them, their commands, messages and pushes. */
export const DEVICES = {
  'bypass_code.read': info('The code that bypasses the Activation Lock of a device was read', {}),
  'bypass_code.sent': info('Apple was given the code that bypasses the Activation Lock of a device', {
    status: number('The HTTP status with which Apple answered.'),
  }),
  'command.acknowledged': info('A device has done what a command asked', {
    ...answered,
    status: Type.Enum(['Acknowledged'], { description: 'What the device answered.' }),
  }),
  'command.cancelled': info('A command was cancelled before it was done', command),
  'command.expired': info('A command has expired before it was done', command),
  'command.failed': warn('A device could not do what a command asked', {
    ...answered,
    status: Type.Enum(['Error', 'CommandFormatError'], {
      description: 'What the device answered, or `Error` where there is no answer that could be read.',
    }),
    error_chain: Type.Optional(
      Type.Array(Type.Record(Type.String(), Type.Unknown()), { description: 'Why, as the device says it.' }),
    ),
  }),
  'command.queued': info(
    'A command was queued',
    {
      command_uuid: commandUuid,
      request_type: text('Its RequestType.'),
      devices: number('How many devices it is for.'),
    },
    'devices',
  ),
  'device.authenticated': info('A device has begun to enroll', {
    again: flag('Whether it takes the place of an enrollment that there was before.'),
  }),
  'device.checked_out': info('A device has left management', {}),
  'device.configured': info('A device was let out of Setup Assistant', {
    released_by: Type.Union([Type.Enum(['commands_done', 'policy', 'deadline']), Type.Null()], {
      description: 'Whether its commands were done, its policy holds no device, or the deadline had come.',
    }),
    tries: number('How often it was told.'),
    answer: Type.Enum(['acknowledged', 'error', 'format_error'], {
      description: 'What it said; with an error it waited no more.',
    }),
    missing: Type.Array(missingThing, { description: 'The critical things that it went without.' }),
    waited_seconds: number('For how long it was held.'),
  }),
  'device.located': info('A device has told where it is', {}),
  'device.lost_mode_disabled': info('A device is no longer in lost mode', {}),
  'device.lost_mode_enabled': warn('A device is in lost mode', {}),
  'device.deleted': info('A device was forgotten', {}),
  'device.enrolled': info('A device is enrolled', {
    tally,
    type,
    awaiting_configuration: flag('Whether it waits in Setup Assistant to be let out.'),
  }),
  'device.grouped': info('A device that enrolled is in its groups', {
    enrolled_at: time('When it enrolled.'),
    group_ids: texts('The groups that it is in.'),
  }),
  'device.token_updated': info('A device has told where it is pushed to', {
    tally,
    type: Type.Optional(type),
    awaiting_configuration: Type.Optional(
      flag('True where the device says that it waits in Setup Assistant.'),
    ),
  }),
  'device.unenrolled': info('The enrollment of a device has ended', {}),
  'message.refused': warn('A message was refused', {
    message: Type.Optional(text('What is wrong with it.')),
    transaction_id: Type.Optional(text("The SCEP client's id of the request.")),
  }),
  'lock_pin.read': info('The PIN with which a Mac was locked was read', {}),
  'push.gone': warn('Apple says that a device no longer listens to pushes', {}),
  'push.refused': warn('Apple does not take the push of a device', {}),
  'unlock_token.read': info('The token that clears the passcode of a device was read', {}),
} as const satisfies Kinds
