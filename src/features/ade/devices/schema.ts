import { Type, type Static } from 'typebox'
import { dates, orNull, text, textOrNull, timeOrNull } from '../../../kernel/schema.ts'

/** Where a serial number stands. */
export const deviceState = Type.Enum(
  ['not_contacted', 'contacted', 'enrolled', 'unenrolled', 'blocked', 'released', 'removed'],
  {
    description:
      'contacted: it has come at power-on; released: Apple forgot it at our word; removed: Apple’s portal gave it to another server or to none.',
  },
)

/** A serial number as the API tells it. */
export const deviceSchema = Type.Object(
  {
    id: text('The serial number.'),
    serial_number: text('The serial number.'),
    state: deviceState,
    ade_server_id: textOrNull('The ADE server that it is assigned to.'),
    policy_id: textOrNull('The enrollment policy that it is to have.'),
    model: textOrNull('Apple’s name of the model.'),
    description: textOrNull('Apple’s description of the model.'),
    color: textOrNull('Its colour.'),
    asset_tag: textOrNull('The organisation’s own number for it.'),
    device_family: textOrNull('Such as iPhone.'),
    os: textOrNull('Such as iOS.'),
    device_assigned_date: timeOrNull('When it was assigned to the ADE server in Apple’s portal.'),
    device_assigned_by: textOrNull('Who assigned it.'),
    mdm_migration_deadline: timeOrNull('By when it must have come over from another MDM server.'),
    assignment: orNull(
      Type.Object({
        state: Type.Enum(['pending', 'assigned', 'throttled', 'failed'], {
          description: 'How far Apple has it; throttled: Apple lets it be tried again later.',
        }),
        retry_at: timeOrNull('When it is tried again.'),
        error: textOrNull('Why it failed.'),
        attempts: Type.Integer({ description: 'How often it was tried.' }),
      }),
      'How the assignment of its policy at Apple stands; null without a policy.',
    ),
    apple: Type.Object(
      {
        profile_uuid: textOrNull('The ADE profile that Apple has for it.'),
        profile_status: textOrNull("Apple's word: empty, assigned, pushed or removed."),
        profile_assign_time: timeOrNull('When the profile was assigned.'),
        profile_push_time: timeOrNull('When the device fetched it.'),
        op_date: timeOrNull('Of the last change that Apple told.'),
        seen_at: timeOrNull('When Apple last told of it.'),
      },
      { description: 'What Apple says of it.' },
    ),
    profile_current_at_apple: orNull(
      Type.Boolean(),
      'Whether Apple has the policy, as it is now, for this device; null without a policy.',
    ),
    device_runs_current_profile: Type.Union([Type.Boolean(), Type.Null()], {
      description:
        'Whether the device was set up with the policy as it is now; null when that is not known. What a policy says of supervision, lock and Setup Assistant reaches a device only when it is erased and set up again.',
    }),
    other_enrollments: Type.Array(Type.String(), {
      description:
        'Devices that are enrolled with this serial number by a link or the page, not as its policy says.',
    }),
    note: textOrNull('What is worth knowing of its state.'),
    contacted_at: timeOrNull('When it first came at power-on.'),
    enrolled_at: timeOrNull('When it last enrolled.'),
    unenrolled_at: timeOrNull('When its last enrollment ended.'),
    blocked_at: timeOrNull('When it was blocked.'),
    released_at: timeOrNull('When it was released from the organisation.'),
    removed_at: timeOrNull('When it was no longer assigned to one of our servers.'),
    ...dates,
  },
  { title: 'AdeDevice', description: 'A serial number that Apple assigned to us.' },
)

/** {@link deviceSchema} as a type. */
export type DeviceView = Static<typeof deviceSchema>
