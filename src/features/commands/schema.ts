import { Type, type Static } from 'typebox'
import { idParam, orNull, text, textOrNull, time, timeOrNull } from '../../kernel/schema.ts'
import { undoUntil, waitingSchema } from '../governor/index.ts'

/** Devices for which a command may be at once. */
export const MOST_DEVICES = 100_000

/** Groups whose members a command may be for at once. */
const MOST_GROUPS = 1_000

/** The parameter of a path to a command. */
export const commandParams = Type.Object({ uuid: text('The CommandUUID.') })
/** The parameter of a path to a device. */
export const deviceParams = idParam('The id of the device (an enrollment id).')

const deliverySchema = Type.Object(
  {
    device_id: text('The device (`/devices/{id}`).'),
    state: text('queued, sent, not_now, acknowledged, error, format_error, expired or cancelled.'),
    not_now_count: Type.Integer({ description: 'How often the device has said NotNow.' }),
    queued_at: time('When it was queued.'),
    sent_at: timeOrNull('When it last went out to the device.'),
    finished_at: timeOrNull('When it came to an end.'),
    reason: textOrNull(
      'Why it was cancelled, where nobody said so: the device turned out unsuited for it (`os_version`, `supervision`, ...), `re_enrolled` or `unenrolled`.',
    ),
    error_chain: Type.Unknown({
      description: 'What the device gave as its error, in Apple’s names; null without one.',
    }),
    result_unreadable: Type.Boolean({
      description: 'Whether part of the answer, or all of it, could not be read; `warnings` say what.',
    }),
    warnings: Type.Array(Type.String(), { description: 'What is to be known about the answer.' }),
  },
  { title: 'Delivery', description: 'A command on its way to one device.' },
)

/** A command without its deliveries. */
export const commandSchema = Type.Object(
  {
    uuid: text('The CommandUUID on the wire.'),
    request_type: text('Apple’s name of the command.'),
    priority: text('low, normal or high.'),
    not_before: timeOrNull('It is not sent before.'),
    expires_at: timeOrNull('It is not sent after.'),
    created_at: time('When it was queued.'),
    created_by: textOrNull('Who asked for it, `<kind>:<id>`; null for the server itself.'),
    device_count: Type.Integer({ description: 'How many devices it is for.' }),
  },
  { title: 'Command', description: 'A command that was queued.' },
)

/** A command with its deliveries. */
export const withDeliveries = Type.Intersect(
  [
    commandSchema,
    Type.Object({
      deliveries: Type.Array(deliverySchema, {
        description: 'Its way to each device, of the first 1,000 devices.',
      }),
      warnings: Type.Optional(
        Type.Array(Type.String(), {
          description: 'When it is queued: what of it is deprecated, and what devices will leave out.',
        }),
      ),
      undo_until: Type.Optional(undoUntil),
      governed: Type.Optional(
        orNull(
          Type.Object(
            {
              act: text('As which act it counts.'),
              devices: Type.Integer({ description: 'For how many devices.' }),
              fits: Type.Boolean({
                description: 'Whether it would be done at once, if it were asked for now.',
              }),
            },
            { title: 'Governed', description: 'What the governor would say.' },
          ),
          'With `dry_run`: what the governor would say; null: it destroys nothing.',
        ),
      ),
      plist: Type.Optional(text('The whole command as base64, secrets hidden; viewers are not shown it.')),
    }),
  ],
  { title: 'CommandDetail', description: 'A command with its deliveries.' },
)

/** The answer to one that is wanted. */
export const queuedSchema = Type.Union([withDeliveries, waitingSchema], {
  title: 'CommandAnswer',
  description: 'What was queued, or what waits for a second person.',
})

/** A command to be queued. */
export const newCommandSchema = Type.Object(
  {
    request_type: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Apple’s name of the command.' }),
    ),
    command: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          'Its parameters; `{"$data": "<base64>"}` is data, `{"$date": "<RFC 3339>"}` a date, and where Apple’s schema says data the plain base64 is.',
      }),
    ),
    plist: Type.Optional(text('A whole command instead, as base64 of its property list.')),
    device_ids: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
        minItems: 1,
        maxItems: MOST_DEVICES,
        description: 'Devices (`/devices/{id}`), each of them enrolled.',
      }),
    ),
    group_ids: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
        minItems: 1,
        maxItems: MOST_GROUPS,
        description: 'Groups (`/groups/{id}`), whose members of this moment are meant.',
      }),
    ),
    priority: Type.Optional(
      Type.Enum(['low', 'normal', 'high'], { description: 'What goes first. By default normal.' }),
    ),
    not_before: Type.Optional(time('It is not sent before.')),
    expires_at: Type.Optional(time('It is not sent after.')),
    force: Type.Optional(
      Type.Boolean({
        description:
          'Send it to devices that it does not suit, too, and with values that Apple’s schema does not have.',
      }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'Check everything and queue nothing.' })),
  },
  { title: 'NewCommand', description: 'A command by `request_type` and `command`, or by `plist`.' },
)

/** A command in the queue or history of a device. */
export const deviceDeliverySchema = Type.Intersect(
  [
    deliverySchema,
    Type.Object({
      command_uuid: text('The command (`/commands/{uuid}`).'),
      request_type: textOrNull('Apple’s name of the command; null when that is no longer kept.'),
    }),
  ],
  { title: 'DeviceCommand', description: 'A command in the queue or history of a device.' },
)

/** That a push was asked for. */
export const pushedSchema = Type.Object(
  { device_id: text('The device.'), push: text('requested: it goes out at once.') },
  { title: 'PushRequested', description: 'The push was asked for.' },
)

/** See `newCommandSchema`. */
export type CommandWanted = Static<typeof newCommandSchema>
