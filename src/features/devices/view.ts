import { Type, type Static } from 'typebox'
import { dates, datesOf, orNull, text, textOrNull, time, timeOrNull } from '../../kernel/schema.ts'
import type { Enrollment } from './store.ts'

/** A device as lists show it. */
export const deviceSchema = Type.Object(
  {
    id: text('The enrollment id: UDID, EnrollmentID, or <device>:<user>.'),
    type: text(
      'device, user, shared_ipad_user, user_enrollment_device or user_enrollment_user: which channel this is.',
    ),
    state: Type.Enum(['enrolled', 'unenrolled'], { description: 'Whether it is managed now.' }),
    parent_id: textOrNull('Of a user channel: the id of its device channel.'),
    serial_number: textOrNull('As Apple gave it.'),
    udid: textOrNull('The hardware id; null for an enrollment by a user’s own account.'),
    user_name: textOrNull('Whose device it is (`/users`).'),
    user_short_name: textOrNull('Of a user channel: the account’s short name.'),
    user_long_name: textOrNull('Of a user channel: the account’s full name.'),
    policy_id: textOrNull('The enrollment policy by which it enrolled.'),
    attempt_id: textOrNull('The enrollment attempt by which it enrolled.'),
    supervised: orNull(Type.Boolean(), 'Whether it is supervised; null until it has said so.'),
    model: textOrNull('Apple’s order number.'),
    model_name: textOrNull('Such as iPhone.'),
    product_name: textOrNull('Such as iPhone15,2.'),
    device_name: textOrNull('What its user calls it.'),
    os_version: textOrNull('The version of its system.'),
    build_version: textOrNull('The build of its system.'),
    imei: textOrNull('Of its first modem.'),
    meid: textOrNull('Of its first modem.'),
    awaiting_configuration: Type.Boolean({ description: 'Whether it is held in Setup Assistant.' }),
    lost_mode: Type.Object(
      {
        on: Type.Boolean({ description: 'Whether it is in lost mode.' }),
        since: timeOrNull('Since when.'),
      },
      { description: 'Whether it is lost.' },
    ),
    token_update_tally: Type.Integer({ description: 'How many TokenUpdates it has sent since it enrolled.' }),
    has_unlock_token: Type.Boolean({ description: 'Whether its passcode can be cleared.' }),
    has_bootstrap_token: Type.Boolean({ description: 'Whether a Mac has left its bootstrap token.' }),
    authenticated_at: timeOrNull('When its enrollment began.'),
    enrolled_at: timeOrNull('When it could first be reached.'),
    unenrolled_at: timeOrNull('When its enrollment ended.'),
    unenroll_reason: textOrNull('Why it ended.'),
    location: orNull(
      Type.Object({
        latitude: Type.Number({ description: 'Degrees.' }),
        longitude: Type.Number({ description: 'Degrees.' }),
        accuracy: orNull(Type.Number(), 'Metres.'),
        at: time('When it was there.'),
      }),
      'Where it was when it was last asked (`locate`).',
    ),
    last_seen_at: timeOrNull('When it last spoke, to a minute or so.'),
    push: Type.Object(
      {
        state: Type.Enum(['ok', 'waiting_for_token', 'gone'], {
          description:
            'ok; waiting_for_token: it has not sent one yet; gone: Apple says that its token is no longer valid.',
        }),
        reason: textOrNull('Apple’s word for why it is gone.'),
        topic: textOrNull('The topic of the push certificate that it listens to.'),
        last_push_at: timeOrNull('When it was last woken.'),
        last_push_result: textOrNull('What Apple said to that.'),
      },
      { description: 'How it can be woken.' },
    ),
    ...dates,
  },
  { title: 'Device', description: 'An enrollment: the device channel or a user channel of a device.' },
)

const answer = (what: string) =>
  orNull(
    Type.Object({
      received_at: time('When it came.'),
      answers: Type.Unknown({ description: 'What the device said, in Apple’s names.' }),
    }),
    `${what}; null until it has come.`,
  )

/** A device with what it told of itself. */
export const detailSchema = Type.Intersect(
  [
    deviceSchema,
    Type.Object({
      user_channels: Type.Array(Type.String(), { description: 'Ids of its user channels.' }),
      facts: orNull(
        Type.Object(
          { updated_at: time('When it last told something new.') },
          {
            additionalProperties: true,
            description:
              'By names such as battery_level (0 to 1), capacity_gb, imeis, phone_numbers, carrier, passcode_present, file_vault_enabled.',
          },
        ),
        'What it told of itself since it enrolled, in the words of Firstboot; null until it has told something',
      ),
      inventory: Type.Object(
        {
          device_information: answer('Its last answers to DeviceInformation'),
          security_info: answer('Its last answer to SecurityInfo'),
          restrictions: answer('Its last answer to Restrictions'),
        },
        { description: 'What it told of itself.' },
      ),
    }),
  ],
  { title: 'DeviceDetail', description: 'A device with its inventory.' },
)

type Location = NonNullable<Static<typeof deviceSchema>['location']>

/** A row in the form of the API: no token, no push magic. */
export function renderDevice(row: Enrollment, userName: string | null) {
  const iso = (at: Date | null) => at?.toISOString() ?? null
  return {
    id: row.id,
    type: row.type,
    state: row.unenrolled_at === null && row.token_update_tally > 0 ? 'enrolled' : 'unenrolled',
    parent_id: row.parent_id,
    serial_number: row.serial_number,
    udid: row.udid,
    user_name: userName,
    user_short_name: row.user_short_name,
    user_long_name: row.user_long_name,
    policy_id: row.policy_id,
    attempt_id: row.attempt_id,
    supervised: row.supervised,
    model: row.model,
    model_name: row.model_name,
    product_name: row.product_name,
    device_name: row.device_name,
    os_version: row.os_version,
    build_version: row.build_version,
    imei: row.imei,
    meid: row.meid,
    awaiting_configuration: row.awaiting_configuration,
    lost_mode: { on: row.lost_mode_since !== null, since: iso(row.lost_mode_since) },
    token_update_tally: row.token_update_tally,
    has_unlock_token: row.unlock_token !== null,
    has_bootstrap_token: row.bootstrap_token !== null,
    authenticated_at: iso(row.authenticated_at),
    enrolled_at: iso(row.enrolled_at),
    unenrolled_at: iso(row.unenrolled_at),
    unenroll_reason: row.unenroll_reason,
    location: row.location === null ? null : (JSON.parse(row.location) as Location),
    last_seen_at: iso(row.last_seen_at),
    push: {
      state: row.push_state,
      reason: row.push_reason,
      topic: row.topic,
      last_push_at: iso(row.last_push_at),
      last_push_result: row.last_push_result,
    },
    ...datesOf(row),
  } as const
}
