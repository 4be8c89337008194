import { Type } from 'typebox'
import { NAME_PATTERN } from '../../../kernel/names.ts'
import { pageQuery } from '../../../kernel/paging.ts'
import { dates, orNull, text, textOrNull, timeOrNull } from '../../../kernel/schema.ts'
import { EVENT_TYPES } from '../catalogue.ts'

const MAX_URL_LENGTH = 2_048
const MAX_SECRET_LENGTH = 200
const MAX_PREVIOUS_HOURS = 720

const name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: NAME_PATTERN,
  description: 'What it is called; without one, the host of its address.',
})
const url = Type.String({
  minLength: 1,
  maxLength: MAX_URL_LENGTH,
  description:
    'Where events are sent: https, and an address of the public internet unless others are allowed.',
})
const SHAPES = ['firstboot', 'nanomdm'] as const
const shape = {
  description:
    'What is sent: `firstboot`, the event as in `/events`, signed as Standard Webhooks asks; `nanomdm`, what devices say, as NanoMDM does.',
}
const types = orNull(
  Type.Array(Type.Enum([...EVENT_TYPES]), { minItems: 1, maxItems: EVENT_TYPES.length, uniqueItems: true }),
  'Only events of these types; null = all.',
)
const enabled = {
  description: 'Whether events are sent. Once it is again, it goes on where it stopped.',
}
const secret = Type.String({ minLength: 8, maxLength: MAX_SECRET_LENGTH })

/** What makes a webhook. */
export const newWebhookSchema = Type.Object(
  {
    name: Type.Optional(name),
    url,
    shape: Type.Optional(Type.Enum([...SHAPES], { ...shape, default: 'firstboot' })),
    types: Type.Optional(types),
    enabled: Type.Optional(Type.Boolean({ ...enabled, default: true })),
    secret: Type.Optional(
      orNull(
        secret,
        'What signs: `whsec_` and 24 to 64 bytes in base64, for NanoMDM any text. Made when none is given.',
      ),
    ),
  },
  { title: 'NewWebhook', description: 'What makes a webhook.' },
)

/** What changes one. */
export const webhookPatchSchema = Type.Object(
  {
    name: Type.Optional(name),
    url: Type.Optional(url),
    types: Type.Optional(types),
    enabled: Type.Optional(Type.Boolean(enabled)),
    secret: Type.Optional(orNull(secret, 'Another secret; null = one is made, and shown in the answer.')),
    previous_valid_hours: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_PREVIOUS_HOURS,
        description: 'With another secret: for how long the one before signs as well (24).',
      }),
    ),
  },
  { title: 'WebhookPatch', description: 'What changes of a webhook.' },
)

/** A webhook as the API tells it. */
export const webhookSchema = Type.Object(
  {
    id: text('The id of the webhook.'),
    name,
    url,
    shape: Type.Enum([...SHAPES], shape),
    types: orNull(Type.Array(Type.String()), 'Only events of these types; null = all.'),
    enabled: Type.Boolean(enabled),
    disabled_reason: orNull(
      Type.Enum(['gone']),
      'Why the server has disabled it: `gone`, the receiver answered 410. Null = it has not.',
    ),
    cursor: text('The last event that it was sent, or that waits or was given up.'),
    waiting: Type.Integer({ description: 'Events up to there that wait to be sent or tried again.' }),
    dead: Type.Integer({ description: 'Events that were given up.' }),
    paused_until: timeOrNull('It could not be reached, and is left alone until then; null = it is not.'),
    previous_valid_until: timeOrNull('Until when the secret before signs as well; null = it does not.'),
    secret: Type.Optional(text('Its secret; only in the answer to the call that made it.')),
    ...dates,
  },
  { title: 'Webhook', description: 'Where events are sent.' },
)

const state = Type.Enum(['pending', 'delivered', 'failed', 'dead'], {
  description:
    '`pending`: not tried yet; `delivered`; `failed`: the last try failed, more will come; `dead`: given up.',
})

/** What became of an event at a webhook. */
export const deliverySchema = Type.Object(
  {
    event_id: text('The event.'),
    type: textOrNull('Its type; null = it is kept no more.'),
    state,
    tries: Type.Integer({ description: 'How often it was tried.' }),
    first_try_at: timeOrNull('When it was tried first; null = not yet.'),
    last_try_at: timeOrNull('When it was tried last; null = not yet.'),
    next_try_at: timeOrNull('When it is tried next; null = as its turn comes, or no more.'),
    status: orNull(Type.Integer(), 'The HTTP status of the last answer; null = there was none.'),
    duration_ms: orNull(Type.Integer(), 'How long the last try took, in milliseconds.'),
    answer_bytes: orNull(
      Type.Integer(),
      'How much of the last answer was read, at most 64 KB; it is not kept.',
    ),
    error: textOrNull('Why the last try failed; null = it has not.'),
  },
  { title: 'WebhookDelivery', description: 'What became of an event at a webhook.' },
)

/** Which deliveries. */
export const deliveriesQuery = Type.Object({ ...pageQuery, state: Type.Optional(state) })

/** From where on events are sent again. */
export const replaySchema = Type.Object(
  {
    after: Type.String({
      pattern: '^[0-9]{1,15}$',
      description: 'The id of the event after which events are sent again.',
    }),
  },
  { title: 'WebhookReplay', description: 'What is sent again.' },
)

/** What will come of that. */
export const replayedSchema = Type.Object(
  { events: Type.Integer({ description: 'How many events are sent again.' }) },
  { title: 'WebhookReplayed', description: 'What is sent again.' },
)

/** What became of a trial. */
export const webhookTestSchema = Type.Object(
  {
    ok: Type.Boolean({ description: 'Whether the receiver took it.' }),
    status: orNull(Type.Integer(), 'The HTTP status of its answer; null = there was none.'),
    duration_ms: Type.Integer({ description: 'How long it took, in milliseconds.' }),
    answer_bytes: Type.Integer({ description: 'How much of its answer was read, at most 64 KB.' }),
    error: textOrNull('What is wrong; null = nothing.'),
  },
  { title: 'WebhookTest', description: 'What became of a trial.' },
)
