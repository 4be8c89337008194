import { sql } from 'kysely'
import { serialNumberOf } from '../../kernel/serial-number.ts'
import type { Queries } from '../database.ts'
import { searchTermOf } from './device-details.ts'

// By what people know things, each found by an index, also among a million devices.

/** Shorter ones are no IMEI, phone number or hardware address. */
const SHORTEST_TERM = 7
/** What begins with a text comes before the text with this at its end. */
const LAST_LETTER = '\u{10FFFF}'

/**
 * The ids of enrollments that are meant by this: by their own id, their serial number (those that are alive, else the last one), an
 * IMEI or the like, their name, or the beginning of it. The surest first, at most `limit`.
 */
export async function enrollmentsMeant(db: Queries, text: string, limit: number): Promise<string[]> {
  const serial = serialNumberOf(text) ?? ''
  const term = searchTermOf(text)
  const { rows } = await sql<{ id: string }>`
    select id from (
      (select id, 0 as place from enrollments where lower(id) = lower(${text}))
      union all
      (select id, 1 from enrollments where serial_number = ${serial} and parent_id is null
        order by (unenrolled_at is not null), authenticated_at desc nulls last, id limit ${limit})
      union all
      (select enrollment_id, 2 from device_details
        where ${term.length >= SHORTEST_TERM}::boolean and search_terms @> array[${term}::text] limit ${limit})
      union all
      (select id, 3 from enrollments where device_name is not null and lower(device_name) = lower(${text})
        order by id limit ${limit})
      union all
      (select id, 4 from enrollments where device_name is not null and lower(device_name) ~>=~ lower(${text})
        and lower(device_name) ~<~ (lower(${text}) || ${LAST_LETTER})
        order by lower(device_name) using ~<~, id limit ${limit})
    ) meant group by id order by min(place), id limit ${limit}`.execute(db)
  return rows.map(({ id }) => id)
}

/** The newest attempt of a device that gave this UDID. */
export async function attemptOfUdid(db: Queries, udid: string): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    select id from enrollment_attempts where udid is not null and lower(udid) = lower(${udid})
    order by id desc limit 1`.execute(db)
  return rows[0]?.id
}

/** The newest attempt in which somebody of this name signed in, or tried to, whatever the case. */
export async function attemptOfPerson(db: Queries, userName: string): Promise<string | undefined> {
  const name = sql`lower(normalize(${userName}::text))`
  const { rows } = await sql<{ id: string | null }>`
    with named as materialized (
      select id from enrollment_attempts where user_name is not null and lower(normalize(user_name)) = ${name}
      union all
      select attempt_id from enrollment_attempt_steps
      where user_name is not null and lower(normalize(user_name)) = ${name})
    select max(id) as id from named`.execute(db)
  return rows[0]?.id ?? undefined
}

/** What strangers were refused, of which a serial number or a person was named. */
export interface StrangerRefusal {
  id: string
  at: Date
  reason: string
  data: Record<string, unknown>
}

/** The last such refusal of this serial number or this user name, as it was typed. */
export async function strangersRefused(
  db: Queries,
  of: { serial: string } | { userName: string },
): Promise<StrangerRefusal | undefined> {
  const named =
    'serial' in of
      ? sql`data -> 'serial_numbers' ? ${of.serial}`
      : sql`data -> 'user_names' ?| ${[of.userName, of.userName.toLowerCase()]}::text[]`
  const { rows } = await sql<StrangerRefusal>`
    with named as materialized (
      select id, at, reason, data from events
      where attempt_id is null and data ? 'network' and reason is not null and ${named})
    select id::text as id, at, reason, data from named order by named.id desc limit 1`.execute(db)
  return rows[0]
}
