import { type TProperties, type TSchema, Type } from 'typebox'
import { dates, orNull, text } from '../../kernel/schema.ts'
import { LIMITS } from './rules.ts'
import { PAIRINGS, PANES, SIGN_INS, USER_AFFINITIES } from './types.ts'

const PANES_SHOWN: Record<(typeof PANES)[number], string> = {
  passcode: 'Passcode.',
  location_services: 'Location services.',
  restore: 'Restore.',
  apple_id: 'Apple Account.',
  terms_and_conditions: 'Terms and conditions.',
  touch_id: 'Touch ID and Face ID.',
  apple_pay: 'Apple Pay.',
  zoom: 'Zoom.',
  siri: 'Siri.',
  diagnostics: 'Diagnostics.',
}

const ade = {
  enabled: Type.Boolean({ description: 'false: nothing is defined at Apple. Default false.' }),
  department: orNull(
    Type.String({ maxLength: LIMITS.department }),
    'Who looks after the device, shown in Setup Assistant.',
  ),
  support_phone_number: orNull(
    Type.String({ maxLength: LIMITS.supportPhoneNumber }),
    'Whom to call, shown in Setup Assistant.',
  ),
  support_email_address: orNull(Type.String({ maxLength: LIMITS.supportEmailAddress }), 'Whom to write to.'),
  supervised: Type.Boolean({ description: 'Fixed until the device is erased. Default true.' }),
  locked: Type.Boolean({
    description:
      'The enrollment profile cannot be removed on the device; needs supervised. Fixed until it is erased. Default false.',
  }),
  pairing: Type.Enum(PAIRINGS, {
    description: 'Whether the device may be connected to computers. Default allow.',
  }),
  pairing_certificates: Type.Array(Type.String(), {
    maxItems: LIMITS.pairingCertificates,
    description: 'PEM; for require_certificate.',
  }),
  setup_assistant: Type.Object(
    Object.fromEntries(
      PANES.map((pane) => [pane, Type.Optional(Type.Boolean({ description: PANES_SHOWN[pane] }))]),
    ),
    { description: 'Which panes are shown. Default: all.' },
  ),
  additional_skip_keys: Type.Array(Type.String({ minLength: 1, maxLength: LIMITS.skipKey }), {
    maxItems: LIMITS.additionalSkipKeys,
    description: "Apple's skip keys besides those of hidden panes.",
  }),
  minimum_os_version: orNull(
    Type.String(),
    'The least system that enrolls, such as 17.5.1; null = any. One that can is told to update.',
  ),
  await_device_configured: Type.Boolean({
    description:
      'Hold the device in Setup Assistant until its first commands are done; needs supervised. Default false.',
  }),
  configuration_deadline_minutes: orNull(
    Type.Integer({
      minimum: 1,
      maximum: LIMITS.deadlineMinutes,
      description: 'How long at most; null = 15.',
    }),
  ),
  sign_in: Type.Enum(SIGN_INS, {
    description: "Setup Assistant's own form, or a web page. Default native.",
  }),
}

const policy = {
  name: Type.String({ minLength: 1, maxLength: LIMITS.name, description: 'One of its kind.' }),
  description: Type.String({ maxLength: LIMITS.description, description: 'What it is for. Default empty.' }),
  user_affinity: Type.Enum(USER_AFFINITIES, {
    description: 'Whether a person signs in and the device is theirs. Default none.',
  }),
  sign_in_source_id: orNull(
    Type.String(),
    'The sign-in source where people prove who they are; null = local accounts.',
  ),
  group_id: orNull(Type.String(), 'A static group that the devices join too.'),
}

const ADE = 'What concerns Automated Device Enrollment.'
const patchable = { ...policy, ade: Type.Object(patchOf(ade), { title: 'AdePolicyPatch', description: ADE }) }

/** A policy as the API tells it. */
export const policySchema = Type.Object(
  {
    id: text('The id of the policy.'),
    ...policy,
    ade: Type.Object(ade, { title: 'AdePolicy', description: ADE }),
    fixed_until_erase: Type.Array(Type.String(), {
      description:
        'Fields that a device which is set up keeps until it is erased; `/ade-devices` tells which rendering it has.',
    }),
    ...dates,
  },
  { title: 'EnrollmentPolicy', description: 'What an administrator wants of devices that enroll.' },
)

/** What makes a policy. It describes; policies are checked by rules that name all problems at once. */
export const newPolicySchema = Type.Object(
  { name: policy.name, ...patchOf(patchable, 'name') },
  { title: 'NewEnrollmentPolicy', description: 'What makes an enrollment policy: only the name is needed.' },
)

/** A merge patch of a policy (RFC 7396): null gives the default. */
export const policyPatchSchema = Type.Object(
  { name: Type.Optional(policy.name), ...patchOf(patchable, 'name') },
  { title: 'EnrollmentPolicyPatch', description: 'What is to change; null gives the default.' },
)

function patchOf(properties: TProperties, except?: string): TProperties {
  const some = Object.entries(properties).filter(([name]) => name !== except)
  return Object.fromEntries(
    some.map(([name, schema]) => [name, Type.Optional(orNull(schema as TSchema & { description?: string }))]),
  )
}
