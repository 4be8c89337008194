import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { AppError } from '../../kernel/errors.ts'
import { parseJson } from '../../kernel/json.ts'

/** Most values in a query: lists of ids and serial numbers. */
const MAX_VALUES = 50_000

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
  const value = parseJson(body, MAX_VALUES)
  if (!compiled.Check(value)) throw new AppError('invalid_request', 'The enrollment query is not valid.')
  return value
}
