import { type TProperties, type TSchema, Type } from 'typebox'
import { dates, orNull, text } from '../../kernel/schema.ts'
import { ADE, ADE_DESCRIPTION, POLICY } from './schema.ts'

const { name, ...others } = POLICY.schema.properties
const patchable = {
  ...others,
  ade: Type.Object(patchOf(ADE.schema.properties), { title: 'AdePolicyPatch', description: ADE_DESCRIPTION }),
}

/** A policy as the API tells it. */
export const policySchema = Type.Object(
  {
    id: text('The id of the policy.'),
    ...POLICY.schema.properties,
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
  { name, ...patchOf(patchable) },
  { title: 'NewEnrollmentPolicy', description: 'What makes an enrollment policy: only the name is needed.' },
)

/** A merge patch of a policy (RFC 7396): null gives the default. */
export const policyPatchSchema = Type.Object(
  { name: Type.Optional(name), ...patchOf(patchable) },
  { title: 'EnrollmentPolicyPatch', description: 'What is to change; null gives the default.' },
)

function patchOf(properties: TProperties): TProperties {
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [
      key,
      Type.Optional(orNull(schema as TSchema & { description?: string })),
    ]),
  )
}
