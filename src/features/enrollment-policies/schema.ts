import { type TProperties, type TSchema, Type } from 'typebox'
import { LIMITS } from './rules.ts'
import { PAIRINGS, PANES, SIGN_INS, USER_AFFINITIES } from './types.ts'

const time = Type.String({ format: 'date-time' })
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const ade = {
  enabled: Type.Boolean({ description: 'false: nothing is defined at Apple. Default false.' }),
  department: nullable(Type.String({ maxLength: LIMITS.department })),
  support_phone_number: nullable(Type.String({ maxLength: LIMITS.supportPhoneNumber })),
  support_email_address: nullable(Type.String({ maxLength: LIMITS.supportEmailAddress })),
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
    Object.fromEntries(PANES.map((pane) => [pane, Type.Optional(Type.Boolean())])),
    { description: 'Which panes are shown. Default: all.' },
  ),
  additional_skip_keys: Type.Array(Type.String({ minLength: 1, maxLength: LIMITS.skipKey }), {
    maxItems: LIMITS.additionalSkipKeys,
    description: "Apple's skip keys besides those of hidden panes.",
  }),
  minimum_os_version: nullable(Type.String({ description: 'Such as 17.5.1.' })),
  await_device_configured: Type.Boolean({
    description:
      'Hold the device in Setup Assistant until its first commands are done; needs supervised. Default false.',
  }),
  configuration_deadline_minutes: nullable(
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
  name: Type.String({ minLength: 1, maxLength: LIMITS.name }),
  description: Type.String({ maxLength: LIMITS.description }),
  user_affinity: Type.Enum(USER_AFFINITIES, { description: 'Default none.' }),
  sign_in_source_id: nullable(Type.String({ description: 'null = local accounts.' })),
  group_id: nullable(Type.String({ description: 'A static group that the devices join too.' })),
}

/** A policy as the API tells it. */
export const policySchema = Type.Object({
  id: Type.String(),
  ...policy,
  ade: Type.Object(ade),
  fixed_until_erase: Type.Array(Type.String(), {
    description:
      'Fields that a device which is set up keeps until it is erased; `/ade-devices` tells which rendering it has.',
  }),
  created_at: time,
  updated_at: time,
})

/** What makes a policy. It describes; policies are checked by rules that name all problems at once. */
export const newPolicySchema = Type.Object({
  name: policy.name,
  ...patchOf({ ...policy, ade: patchObject(ade) }, 'name'),
})

/** A merge patch of a policy (RFC 7396): null gives the default. */
export const policyPatchSchema = Type.Object({
  name: Type.Optional(policy.name),
  ...patchOf({ ...policy, ade: patchObject(ade) }, 'name'),
})

function patchObject(properties: TProperties) {
  return Type.Object(patchOf(properties))
}

function patchOf(properties: TProperties, except?: string): TProperties {
  const some = Object.entries(properties).filter(([name]) => name !== except)
  return Object.fromEntries(some.map(([name, schema]) => [name, Type.Optional(nullable(schema))]))
}
