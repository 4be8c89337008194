import { randomBytes } from 'node:crypto'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { refused, type AdeAnswer } from './answers.ts'
import type { ScriptedCall } from './call-script.ts'
import type { AppleServer } from './organization.ts'
import { deviceRecord, isoTime, operationRecord } from './records.ts'

interface Cursor {
  server: AppleServer
  /** How many operations of the server it is past. */
  position: number
  /** Everything was fetched before it: it comes from the last page of a fetch, or from a sync. */
  exhausted: boolean
  at: Date
}

/** What a page is asked with. */
interface PageRequest {
  server: AppleServer
  version: number
  cursor: unknown
  limit: unknown
  twist: ScriptedCall
}

/** Pages of devices and of operations, and the cursors between them. */
export type Paging = ReturnType<typeof createPaging>

const CURSOR_DAYS = 7
const DEFAULT_LIMIT = 100
/** The most that Apple puts on a page. */
export const MAX_LIMIT = 1_000

interface Slice {
  records: Record<string, unknown>[]
  position: number
  more: boolean
}

/** Pages through the operations of servers; a cursor may be used again, as a client does that was interrupted. */
export function createPaging(clock: Clock) {
  const cursors = new Map<string, Cursor>()

  function find(request: PageRequest): Cursor | AdeAnswer {
    const cursor = typeof request.cursor === 'string' ? cursors.get(request.cursor) : undefined
    if (cursor?.server !== request.server) return refused(400, 'INVALID_CURSOR')
    return addTime(cursor.at, CURSOR_DAYS, 'day') < clock.now() ? refused(400, 'EXPIRED_CURSOR') : cursor
  }

  function answer(request: PageRequest, slice: Slice, isFetch: boolean): AdeAnswer {
    const { server, twist } = request
    const { records, position, more } = slice
    const cursor = randomBytes(24).toString('hex')
    const at = clock.now()
    cursors.set(cursor, { server, position, at, exhausted: !isFetch || !more })
    const page = { devices: records, cursor, fetched_until: isoTime(at), more_to_follow: more }
    if (twist === 'same_cursor') return ok({ ...page, cursor: request.cursor, more_to_follow: true })
    if (twist === 'doubled') return ok({ ...page, devices: [...records, ...records] })
    if (twist === 'reordered') return ok({ ...page, devices: records.toReversed() })
    return ok(page)
  }

  function run(request: PageRequest, start: Cursor | undefined, isFetch: boolean): AdeAnswer {
    const position = start?.position ?? 0
    const limit = limitOf(request.limit)
    if (limit === undefined) return refused(400, 'MALFORMED_REQUEST_BODY')
    const slice: Slice =
      request.twist === 'empty_page'
        ? { records: [], position, more: true }
        : (isFetch ? sliceDevices : sliceOperations)(request, position, limit)
    return answer(request, slice, isFetch)
  }

  return {
    fetch(request: PageRequest): AdeAnswer {
      if (request.cursor === undefined || request.cursor === '') return run(request, undefined, true)
      const cursor = find(request)
      if ('status' in cursor) return cursor
      return cursor.exhausted ? refused(400, 'EXHAUSTED_CURSOR') : run(request, cursor, true)
    },
    sync(request: PageRequest): AdeAnswer {
      if (request.cursor === undefined || request.cursor === '') return refused(400, 'CURSOR_REQUIRED')
      const cursor = find(request)
      return 'status' in cursor ? cursor : run(request, cursor, false)
    },
    /** From now on, all cursors given so far are unknown. */
    forget: () => cursors.clear(),
  }
}

function ok(json: Record<string, unknown>): AdeAnswer {
  return { status: 200, json }
}

function limitOf(given: unknown): number | undefined {
  if (given === undefined) return DEFAULT_LIMIT
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 1) return undefined
  return Math.min(given, MAX_LIMIT)
}

/** Each device once, where it was last touched; so they come by operation time, and none is missed that changes meanwhile. */
function sliceDevices({ server, version }: PageRequest, from: number, limit: number): Slice {
  const { operations, latest } = server
  const records: Slice['records'] = []
  const stands = (at: number) => {
    const { kind, device } = operations[at]!
    return kind !== 'deleted' && latest.get(device.facts.serialNumber) === at
  }
  let position = from
  for (; position < operations.length; position++) {
    if (!stands(position)) continue
    if (records.length === limit) break
    records.push(deviceRecord(operations[position]!.device, version))
  }
  return { records, position, more: position < operations.length }
}

function sliceOperations({ server, version }: PageRequest, from: number, limit: number): Slice {
  const entries = server.operations.slice(from, from + limit)
  const position = from + entries.length
  return {
    records: entries.map((entry) => operationRecord(entry, server, version)),
    position,
    more: position < server.operations.length,
  }
}
