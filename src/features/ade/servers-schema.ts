import { Type, type Static } from 'typebox'
import { NAME_PATTERN } from '../../kernel/names.ts'
import { dates, orNull, text, textOrNull, timeOrNull } from '../../kernel/schema.ts'
import { runSchema } from './syncs/schema.ts'

/** The name of an ADE server. */
export const serverName = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: NAME_PATTERN,
  description: 'As Apple shows it, for the sake of those who look at both.',
})

/** An ADE server as the API tells it. */
export const serverSchema = Type.Object(
  {
    id: text('The id of the ADE server.'),
    name: serverName,
    has_token: Type.Boolean({ description: 'Whether there is a server token of Apple’s.' }),
    apple_id: textOrNull('The Apple ID with which the token is renewed.'),
    token_expires_at: timeOrNull('When the token ends.'),
    token_stored_at: timeOrNull('When the token was stored.'),
    key_staged: Type.Boolean({ description: 'Whether a new encryption key waits for its token.' }),
    server_uuid: textOrNull('Its id at Apple.'),
    server_name: textOrNull("Its name in Apple's portal."),
    org_name: textOrNull('The organisation, as Apple knows it.'),
    org_id: textOrNull('The organisation’s id at Apple.'),
    stopped_reason: orNull(
      Type.Enum(['token_rejected', 'terms_not_signed', 'access_denied']),
      'Why Apple is not asked until somebody has done something; null when all is well.',
    ),
    what_to_do: textOrNull('What to do when it has stopped.'),
    default_policy_id: textOrNull('The policy that new serial numbers get.'),
    device_count: Type.Integer({ description: 'How many serial numbers Apple has assigned to it.' }),
    sync: Type.Object(
      {
        can_start: Type.Boolean({ description: 'Whether a sync could be started now.' }),
        running: Type.Boolean({ description: 'Whether one runs.' }),
        run_ends_by: timeOrNull('When the one that runs ends at the latest.'),
        next_full_sync_at: timeOrNull(
          'Until then a sync brings what has changed; null: the next one is a full one.',
        ),
        next_scheduled_sync_at: timeOrNull('When one starts by itself.'),
        last: orNull(runSchema, 'The last one.'),
      },
      { description: 'How its syncs stand.' },
    ),
    ...dates,
  },
  { title: 'AdeServer', description: "An entry of Apple's portal that serial numbers are assigned to." },
)

/** {@link serverSchema} as a type. */
export type ServerView = Static<typeof serverSchema>
