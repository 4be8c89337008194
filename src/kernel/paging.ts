import { Type, type TSchema } from 'typebox'
import { AppError } from './errors.ts'
import { parseTime } from './rfc3339.ts'

const MAX_CURSOR_LENGTH = 1024
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** The sort key of the last item of a page: what a keyset query goes on from. Times stand in it as RFC 3339 text. */
type PageKey = readonly (string | number)[]

/** One page of a list, as the operator API answers it; `next_cursor` is null at the end. */
export type Page<T> = { items: T[]; next_cursor: string | null }

/** The query parameters of every list; spread into the schema of its query string. */
export const pageQuery = {
  limit: Type.Integer({
    minimum: 1,
    maximum: MAX_LIMIT,
    default: DEFAULT_LIMIT,
    description: 'Most items to answer.',
  }),
  cursor: Type.Optional(
    Type.String({ maxLength: MAX_CURSOR_LENGTH, description: 'The `next_cursor` of the page before.' }),
  ),
}

/** The schema of a page of `item`, in the API's description `<title of item>List`. */
export function pageOf<T extends TSchema & { title?: string }>(item: T) {
  return Type.Object(
    {
      items: Type.Array(item, { description: 'The items, at most `limit`.' }),
      next_cursor: Type.Union([Type.String(), Type.Null()], {
        description: 'What the next page is asked for with; null at the end.',
      }),
    },
    {
      ...(item.title === undefined ? {} : { title: `${item.title}List` }),
      description: 'A page of the list.',
    },
  )
}

/** An opaque, URL-safe cursor for a sort key. */
export function encodeCursor(key: PageKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/**
 * The sort key in a cursor, whose parts must have the types of `shape`; undefined when there is no cursor (the first
 * page). Throws AppError `invalid_request` for anything we did not make.
 */
export function decodeCursor<const S extends readonly Part[]>(
  cursor: string | undefined,
  shape: S,
): { [I in keyof S]: ValueOf<S[I]> } | undefined {
  if (cursor === undefined) return undefined
  const key = parse(cursor)
  const fits =
    Array.isArray(key) &&
    key.length === shape.length &&
    shape.every((type, index) => isClean(key[index], type))
  if (!fits) throw badCursor()
  const values = shape.map((type, index) => (type === 'time' ? parseTime(key[index] as string) : key[index]))
  return values as { [I in keyof S]: ValueOf<S[I]> }
}

/** Of a sort key: a text, a number, how many items come before (`offset`), or a time, which stands in the cursor as RFC 3339 text. */
type Part = 'string' | 'number' | 'offset' | 'time'
type ValueOf<P> = P extends 'string' ? string : P extends 'time' ? Date : number

/**
 * The page made of `rows`, of which the query asked for `limit + 1` to learn whether there are more; `keyOf` gives the
 * sort key of a row.
 */
export function page<T>(rows: readonly T[], limit: number, keyOf: (row: T) => PageKey): Page<T> {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, next_cursor: rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null }
}

function parse(cursor: string): unknown {
  const isOurs = cursor.length <= MAX_CURSOR_LENGTH && /^[\w-]+$/.test(cursor)
  if (!isOurs) throw badCursor()
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(cursor, 'base64url')))
  } catch {
    throw badCursor()
  }
}

/** Databases refuse U+0000 in text and times that they cannot hold, and numbers beyond 2^53 are not what they seem. */
function isClean(part: unknown, type: Part): boolean {
  if (type === 'number') return Number.isSafeInteger(part)
  if (type === 'offset') return Number.isSafeInteger(part) && Number(part) >= 0
  if (typeof part !== 'string') return false
  return type === 'time' ? parseTime(part) !== undefined : !part.includes('\0') && part.isWellFormed()
}

function badCursor(): AppError {
  return new AppError('invalid_request', 'The cursor is not one that this list gave.', {
    fields: [{ path: 'cursor', message: 'is not a cursor of this list', pointer: null }],
  })
}
