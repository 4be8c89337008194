import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { AppError } from '../../kernel/errors.ts'

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
