import { Type } from 'typebox'
import { orNull, text, textOrNull, time, timeOrNull } from '../../../kernel/schema.ts'

const state = Type.Enum(['pending', 'sent', 'waiting', 'installed', 'failed', 'expired', 'removing'], {
  description:
    'pending: not sent yet; sent: not answered yet, or on its way; waiting: held back by what `reason` says; expired: it went at its own removal date.',
})

const kind = Type.Enum(['profile', 'app'], { description: 'What it is.' })
const revision = orNull(
  Type.Integer(),
  'The revision that it is to have; null while a rollout keeps it from all.',
)
const reason = textOrNull('Why it has failed, or what it waits for.')

/** A thing on its way to a device. */
export const deliverySchema = Type.Object(
  {
    kind,
    id: text('The id of the profile or app.'),
    name: textOrNull('Its name; null when it is no longer there.'),
    identifier: textOrNull('What tells it from others on the device; null while that is not known.'),
    revision,
    state,
    reason,
    error_chain: Type.Unknown({
      description: 'What the device gave as its error, in Apple’s names; null without one.',
    }),
    because: Type.Array(
      Type.Object(
        { group_id: text('The group.'), group_name: text('Its name.') },
        { title: 'DeliveryCause', description: 'A group that brings it.' },
      ),
      { description: 'The groups that bring it; empty for what is on its way out.' },
    ),
    critical: Type.Boolean({ description: 'A phone in Setup Assistant waits for it.' }),
    attempts: Type.Integer({ description: 'How often it has failed in a row.' }),
    next_try_at: timeOrNull('When it is tried again by itself.'),
    updated_at: time('When this last changed.'),
  },
  { title: 'GroupDelivery', description: 'A thing that groups bring to a device.' },
)

const counts = Type.Record(Type.String(), Type.Integer(), {
  description: 'How many deliveries are in each state.',
})

/** How it stands with a group, profile or app. */
export const statusSchema = Type.Object(
  {
    counts,
    items: Type.Optional(
      Type.Array(
        Type.Object(
          {
            device_id: text('The device.'),
            serial_number: textOrNull('Its serial number.'),
            device_name: textOrNull('Its name.'),
            kind,
            id: text('The id of the profile or app.'),
            revision,
            reason,
            updated_at: time('When this last changed.'),
          },
          { title: 'DeviceInState', description: 'A device with a delivery in that state.' },
        ),
        { description: 'The devices in the state that was asked for.' },
      ),
    ),
    next_cursor: Type.Optional(
      Type.Union([Type.String(), Type.Null()], {
        description: 'What the next page is asked for with; null at the end.',
      }),
    ),
  },
  { title: 'DeliveryStatus', description: 'How it stands with a group, profile or app.' },
)

/** The query for that: with a state it lists the devices. */
export const stateQuery = { state: Type.Optional(state) }

/** How far a change has come. */
export const changeSchema = Type.Object(
  {
    id: text('The id of the change.'),
    state: Type.Enum(['running', 'finished', 'stopped'], { description: 'Whether it goes on.' }),
    devices: Type.Integer({ description: 'The devices that it concerns.' }),
    enqueued: Type.Integer({
      description: 'Those for which it is known what they get, and that was queued.',
    }),
    done: Type.Integer({ description: 'Those for which nothing of it is on its way any more.' }),
    created_at: time('When it was made.'),
  },
  { title: 'Change', description: 'A change that concerns many devices.' },
)

/** What is to be tried again. */
export const retrySchema = Type.Object(
  {
    state: Type.Optional(Type.Enum(['failed'], { description: 'Only what has failed.' })),
    force: Type.Optional(Type.Boolean({ description: 'What is installed is sent again, too.' })),
  },
  { additionalProperties: false, title: 'DeliveryRetry', description: 'What is to be tried again.' },
)
