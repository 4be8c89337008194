import { unpackBytes } from './pack.ts'

/** Most bytes of JSON that packed inventory may unfold to. */
const MOST_BYTES = 256 * 1024 * 1024

/** A part of a list of JSON values. */
export interface ListPage {
  items: unknown[]
  /** Whether there are more items behind these. */
  more: boolean
}

/** Reads `limit` items from `offset` on of packed JSON (see `packBytes`); a value that is no list counts as one item. */
export function readPackedList(packed: Uint8Array, offset: number, limit: number): ListPage {
  const value = unpackJson(packed)
  const all: unknown[] = Array.isArray(value) ? value : [value]
  return { items: all.slice(offset, offset + limit), more: all.length > offset + limit }
}

/** The JSON that was packed (see `packBytes`). */
export function unpackJson(packed: Uint8Array): unknown {
  return JSON.parse(unpackBytes(packed, MOST_BYTES).toString('utf8'))
}
