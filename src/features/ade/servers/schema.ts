import { Type, type Static } from 'typebox'
import { runSchema } from '../syncs/schema.ts'

const time = Type.String({ format: 'date-time' })
const text = Type.Union([Type.String(), Type.Null()])
const timeOrNull = Type.Union([time, Type.Null()])

/** The name of an ADE server. */
export const serverName = Type.String({
  minLength: 1,
  maxLength: 100,
  // Neither control characters nor space at the ends.
  pattern: String.raw`^(?!\s)[^\x00-\x1f\x7f]+(?<!\s)$`,
  description: 'As Apple shows it, for the sake of those who look at both.',
})

/** An ADE server as the API tells it. */
export const serverSchema = Type.Object({
  id: Type.String(),
  name: serverName,
  has_token: Type.Boolean(),
  apple_id: Type.Union([Type.String(), Type.Null()], { description: 'With which the token is renewed.' }),
  token_expires_at: timeOrNull,
  token_stored_at: timeOrNull,
  key_staged: Type.Boolean({ description: 'Whether a new encryption key waits for its token.' }),
  server_uuid: text,
  server_name: Type.Union([Type.String(), Type.Null()], { description: "In Apple's portal." }),
  org_name: text,
  org_id: text,
  stopped_reason: Type.Union([
    Type.Enum(['token_rejected', 'terms_not_signed', 'access_denied']),
    Type.Null(),
  ]),
  what_to_do: Type.Union([Type.String(), Type.Null()], { description: 'When it has stopped.' }),
  default_policy_id: Type.Union([Type.String(), Type.Null()], {
    description: 'What new serial numbers get.',
  }),
  device_count: Type.Integer(),
  sync: Type.Object({
    can_start: Type.Boolean(),
    running: Type.Boolean(),
    run_ends_by: timeOrNull,
    next_full_sync_at: Type.Union([time, Type.Null()], {
      description: 'Until then a sync brings what has changed; null: the next one is a full one.',
    }),
    next_scheduled_sync_at: timeOrNull,
    last: Type.Union([runSchema, Type.Null()]),
  }),
  created_at: time,
  updated_at: time,
})

/** {@link serverSchema} as a type. */
export type ServerView = Static<typeof serverSchema>
