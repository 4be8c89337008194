import { Type } from 'typebox'
import { idParam, text, time } from '../../../kernel/schema.ts'
import { undoUntil, waitingSchema } from '../../governor/index.ts'

/** The parameter of a path to a device. */
export const params = idParam('The id of the device (an enrollment id).')

const shown = (what: string) => Type.Optional(Type.String({ maxLength: 2_000, description: what }))
const pin = Type.Optional(
  Type.String({
    pattern: '^[0-9]{6}$',
    description: 'For Macs: the six digits that unlock it. One is made where none is given.',
  }),
)

/** What was queued for a device. */
const orderedSchema = Type.Object(
  {
    command_uuid: text('The command (`/commands/{uuid}`).'),
    warnings: Type.Array(Type.String(), {
      description: 'What of it the device will leave out, and what may be missed.',
    }),
    undo_until: undoUntil,
  },
  { title: 'Act', description: 'What was queued.' },
)

/** The answer to an act. */
export const orderedOrWaiting = Type.Union([orderedSchema, waitingSchema], {
  title: 'ActAnswer',
  description: 'What was queued, or what waits for a second person.',
})

/** A lock. */
export const lockSchema = Type.Object(
  {
    message: shown('What the locked device shows.'),
    phone_number: shown('Whom to call.'),
    pin,
  },
  { title: 'Lock', description: 'What the locked device shows.' },
)

/** An erasure. */
export const eraseSchema = Type.Object(
  {
    pin,
    return_to_service: Type.Optional(
      Type.Object(
        {
          wifi_profile_id: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 1_024,
              description: 'A profile with the Wi-Fi network to join.',
            }),
          ),
        },
        { description: 'Have it enroll again by itself, in a device that can.' },
      ),
    ),
    preserve_data_plan: Type.Optional(Type.Boolean({ description: 'Keep the plan of an eSIM.' })),
    obliteration: Type.Optional(
      Type.Enum(['never', 'fallback', 'always'], {
        description:
          'For Macs: whether the whole disk is wiped where the contents cannot be erased alone (`fallback`), or in any case. By default never.',
      }),
    ),
  },
  { title: 'Erase', description: 'How a device is erased.' },
)

/** Lost mode, on or off. */
export const lostModeSchema = Type.Object(
  {
    enabled: Type.Boolean({ description: 'On, or off.' }),
    message: shown('What the device shows; this or the number is needed.'),
    phone_number: shown('Whom to call.'),
    footnote: shown('What stands below that.'),
  },
  { title: 'LostMode', description: 'Lost mode, and what the device shows in it.' },
)

/** A new name. */
export const renameSchema = Type.Object(
  {
    device_name: Type.String({ minLength: 1, maxLength: 63, description: 'The name, of 63 bytes at most.' }),
  },
  { title: 'Rename', description: 'A new name for a device.' },
)

const code = (what: string) => ({ code: text(what), created_at: time('When it became known here.') })

const orderedPin = {
  pin: text('The six digits.'),
  state: Type.Enum(['acknowledged', 'pending', 'none', 'error', 'format_error'], {
    description:
      'What the Mac has said to the command that carried it; `none` when it never will say anything.',
  }),
  created_at: time('When it was ordered.'),
}

/** The PINs of a Mac. */
export const lockPinSchema = Type.Object(
  {
    ...orderedPin,
    previous: Type.Array(Type.Object(orderedPin), {
      description: 'Others: those that it has acknowledged first, then those that it may still take.',
    }),
  },
  { title: 'LockPin', description: 'The PIN with which a Mac was locked or erased.' },
)

/** The codes that bypass the Activation Lock. */
export const bypassCodeSchema = Type.Object(
  {
    ...code('The code that the device told last.'),
    previous: Type.Array(Type.Object(code('A code that it told before.')), {
      description: 'Former ones, the newest first.',
    }),
  },
  { title: 'BypassCode', description: 'The codes that bypass the Activation Lock of a device.' },
)

/** That there is none yet. */
export const bypassCodeAskedSchema = Type.Object(
  { state: Type.Enum(['asked'], { description: 'The device is asked for it.' }) },
  { title: 'BypassCodeAsked', description: 'The device has not told its code yet.' },
)
