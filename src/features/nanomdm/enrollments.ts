import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { AppError } from '../../kernel/errors.ts'
import type { Enrollment } from '../devices/index.ts'

/** NanoMDM's names of the kinds of enrollment. */
const TYPES = {
  Device: 'device',
  User: 'user',
  'User Enrollment (Device)': 'user_enrollment_device',
  'User Enrollment': 'user_enrollment_user',
  'Shared iPad': 'shared_ipad_user',
} as const satisfies Record<string, Enrollment['type']>

const strings = Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()]))

const querySchema = Type.Object({
  filter: Type.Optional(
    Type.Object({
      ids: strings,
      serials: strings,
      user_short_names: strings,
      types: strings,
      enabled: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
    }),
  ),
  options: Type.Optional(
    Type.Object({
      include_device_cert: Type.Optional(Type.Boolean()),
      include_unlock_token: Type.Optional(Type.Boolean()),
    }),
  ),
})
const compiled = Compile(querySchema)

/** The body of an enrollment query, checked; an empty one asks for everything. */
export function readQuery(body: Buffer): Static<typeof querySchema> {
  if (body.length === 0) return {}
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new AppError('invalid_json', undefined, { cause: error })
  }
  if (!compiled.Check(value)) throw new AppError('invalid_request', 'The enrollment query is not valid.')
  return value
}

/** Our types by NanoMDM's names; unknown names are refused. */
export function typesOf(names: readonly string[]): Enrollment['type'][] {
  return names.map((name) => {
    if (!Object.hasOwn(TYPES, name))
      throw new AppError('invalid_request', `There is no enrollment type ${name}.`)
    return TYPES[name as keyof typeof TYPES]
  })
}

/** NanoMDM's name of one of our types. */
export function typeName(type: Enrollment['type']): string {
  return Object.entries(TYPES).find(([, ours]) => ours === type)?.[0] ?? 'Device'
}
