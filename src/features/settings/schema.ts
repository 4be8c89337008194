import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'

const days = (fallback: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 36_500, default: fallback, description })

const shown = (maxLength: number, description: string) =>
  Type.Union([Type.String({ minLength: 1, maxLength, pattern: '^[^\\p{Cc}]*$' }), Type.Null()], {
    default: null,
    description,
  })

/** What an administrator may change at any time, with the defaults. */
export const settingsSchema = Type.Object({
  default_device_limit: Type.Union([Type.Integer({ minimum: 0, maximum: 1_000_000 }), Type.Null()], {
    default: 15,
    description: 'Devices that a user without a limit of their own may enrol; null = any number.',
  }),
  device_limit_message: Type.Enum(['silent', 'explain'], {
    default: 'silent',
    description: 'What a person over their device limit is told on web pages: nothing, or why.',
  }),
  enroll_sign_in_source_id: Type.Union([Type.String({ minLength: 1, maxLength: 64 }), Type.Null()], {
    default: null,
    description: 'Where people who enrol a device of their own at /enroll sign in; null = local accounts.',
  }),
  machine_info_replay: Type.Enum(['tell', 'refuse'], {
    default: 'tell',
    description:
      'What a device says of itself at power-on, said again while the enrollment that it opened is alive: told and served, or refused.',
  }),
  organization_name: shown(128, 'The name of the organization, shown to people on the enrollment pages.'),
  support_phone_number: shown(64, 'Whom people may call who cannot enrol, shown on the enrollment pages.'),
  user_authenticate: Type.Enum(['refuse', 'accept'], {
    default: 'refuse',
    description: 'User channels: refused (410), or accepted with a digest challenge of no digits.',
  }),
  package_max_bytes: Type.Integer({
    minimum: 1,
    maximum: 64 * 1024 ** 3,
    default: 4 * 1024 ** 3,
    description: 'The largest package (IPA) that may be uploaded, in bytes.',
  }),
  profile_max_bytes: Type.Integer({
    minimum: 1024,
    maximum: 50 * 1024 ** 2,
    default: 10 * 1024 ** 2,
    description: 'The largest configuration profile that may be uploaded, in bytes.',
  }),
  inventory_interval_hours: Type.Integer({
    minimum: 0,
    maximum: 8_760,
    default: 24,
    description:
      'How often devices are asked for their inventory, a tenth more or less; 0 = never, and after enrolment only what they are.',
  }),
  inventory_personal_apps: Type.Enum(['managed', 'all'], {
    default: 'managed',
    description:
      'Of which apps devices are asked that their people enrolled at /enroll, and user enrollments: those that are managed, or all.',
  }),
  calls_per_token_per_second: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 100,
    description:
      'How many calls an API token may make a second, in the long run; twenty times as many at once.',
  }),
  command_history_days: days(180, 'How long finished commands are kept.'),
  checkin_message_days: days(90, 'How long raw check-in messages are kept.'),
  event_days: days(30, 'How long events are kept.'),
  attempt_days: days(365, 'How long closed enrollment attempts are kept.'),
  audit_days: days(730, 'How long the audit trail is kept.'),
})

/** The settings as they are now. */
export type Settings = Static<typeof settingsSchema>

/** Changes to them: what is left out stays; null gives the default, but no limit for `default_device_limit`. */
export type SettingsPatch = { [K in keyof Settings]?: Settings[K] | null }

/** Settings that an administrator has set, by name; others have their default. */
export type Overrides = Record<string, unknown>

/** Each setting as stored, or its default: also for one that a newer or older version stored in a way we do not know. */
export function withDefaults(values: Overrides): Settings {
  const entries = Object.entries(settingsSchema.properties).map(([name, schema]) => {
    const value = values[name]
    return [
      name,
      value !== undefined && Value.Check(schema, value) ? value : Value.Default(schema, undefined),
    ]
  })
  return Object.fromEntries(entries) as Settings
}
