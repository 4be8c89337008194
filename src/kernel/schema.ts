import { type TSchema, Type } from 'typebox'
import { Set as setFormat } from 'typebox/format'
import { LINE_PATTERN } from './names.ts'
import { parseTime } from './rfc3339.ts'

// The library's own takes leap seconds and 30 February, which then are no time at all.
setFormat('date-time', (value) => parseTime(value) !== undefined)

/*
 * What many schemas of the operator API are made of. A schema with a `title` is a thing of its own in the API's
 * description; a title stands for one schema.
 */

/** A time as RFC 3339 spells it, without leap seconds. */
export function time(description: string) {
  return Type.String({ format: 'date-time', description })
}

/** A value or null; what is said of the value is said of both. */
export function orNull<T extends TSchema & { description?: string }>(
  schema: T,
  description = schema.description,
) {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description })
}

/** A text or null. */
export function textOrNull(description: string) {
  return Type.Union([Type.String(), Type.Null()], { description })
}

/** A time or null. */
export function timeOrNull(description: string) {
  return Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description })
}

/** A text. */
export function text(description: string) {
  return Type.String({ description })
}

/** When a thing was made and last changed. */
export const dates = {
  created_at: time('When it was made.'),
  updated_at: time('When it was last changed.'),
}

/** The same of a row, as the API tells them. */
export function datesOf({ created_at, updated_at }: { created_at: Date; updated_at: Date }) {
  return { created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
}

/** The answer without a body (204). */
export const nothing = Type.Unsafe<undefined>({ type: 'null', description: 'Done.' })

/** The parameters of an address that names one thing by its id. */
export function idParam(description: string) {
  return Type.Object({ id: Type.String({ description }) })
}

/** The query parameter of a list that can be searched; spread into the schema of its query string. */
export const searchQuery = {
  search: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Only those of which an id, a name or a serial number begins with this, in any case.',
    }),
  ),
}

/** The query parameters of a list of what has a time, such as "made"; spread into the schema of its query string. */
export function timesQuery(what: string) {
  return {
    since: Type.Optional(time(`Only those ${what} at this time or later.`)),
    until: Type.Optional(time(`Only those ${what} before this time.`)),
  }
}

/** A text of any lines: without U+0000 and halves of characters. */
export const TEXT_PATTERN = String.raw`^[^\x00\ud800-\udfff]*$`

/** A parameter of uploads that Apple has made for somebody. */
export const appleIdParam = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 254,
    pattern: LINE_PATTERN,
    description: 'The Apple ID with which it was made, to be remembered for its renewal.',
  }),
)

/** A hook before validation, for bodies of which nothing is needed: a request without one asks for the defaults. */
export function takeNoBody(request: { body: unknown }, _reply: unknown, done: () => void): void {
  request.body ??= {}
  done()
}

/** Who acts. */
export const actorSchema = Type.Object(
  {
    kind: text('`api_token` or `person`.'),
    id: text('The id of the token or person.'),
    name: text('Its name at the time.'),
  },
  { title: 'Actor', description: 'Who acts.' },
)
