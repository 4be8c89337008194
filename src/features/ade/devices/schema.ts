import { Type, type Static } from 'typebox'

const time = Type.String({ format: 'date-time' })
const text = Type.Union([Type.String(), Type.Null()])
const timeOrNull = Type.Union([time, Type.Null()])

/** Where a serial number stands. */
export const deviceState = Type.Enum([
  'not_contacted',
  'contacted',
  'enrolled',
  'unenrolled',
  'blocked',
  'released',
  'removed',
])

/** A serial number as the API tells it. */
export const deviceSchema = Type.Object({
  id: Type.String({ description: 'The serial number.' }),
  serial_number: Type.String(),
  state: deviceState,
  ade_server_id: text,
  policy_id: text,
  model: text,
  description: text,
  color: text,
  asset_tag: text,
  device_family: text,
  os: text,
  device_assigned_date: timeOrNull,
  device_assigned_by: text,
  mdm_migration_deadline: timeOrNull,
  assignment: Type.Union([
    Type.Object({
      state: Type.Enum(['pending', 'assigned', 'throttled', 'failed']),
      retry_at: timeOrNull,
      error: text,
      attempts: Type.Integer(),
    }),
    Type.Null(),
  ]),
  apple: Type.Object({
    profile_uuid: text,
    profile_status: Type.Union([Type.String(), Type.Null()], {
      description: "Apple's word: empty, assigned, pushed or removed.",
    }),
    profile_assign_time: timeOrNull,
    profile_push_time: timeOrNull,
    op_date: timeOrNull,
    seen_at: timeOrNull,
  }),
  profile_current_at_apple: Type.Union([Type.Boolean(), Type.Null()], {
    description: 'Whether Apple has the policy, as it is now, for this device; null without a policy.',
  }),
  device_runs_current_profile: Type.Union([Type.Boolean(), Type.Null()], {
    description:
      'Whether the device was set up with the policy as it is now; null when that is not known. What a policy says of supervision, lock and Setup Assistant reaches a device only when it is erased and set up again.',
  }),
  note: text,
  contacted_at: timeOrNull,
  enrolled_at: timeOrNull,
  unenrolled_at: timeOrNull,
  blocked_at: timeOrNull,
  released_at: timeOrNull,
  removed_at: timeOrNull,
  created_at: time,
  updated_at: time,
})

/** {@link deviceSchema} as a type. */
export type DeviceView = Static<typeof deviceSchema>
