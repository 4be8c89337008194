import { sql } from 'kysely'
import type { Queries, Tx } from '../../db/index.ts'
import { isRowOf, rowIds, spaceOf } from './ids.ts'
import type { Enrollment } from './store.ts'

/**
 * Who has which place: the statements by which it is decided whether a device may take that of another, and how many
 * count against a limit.
 */

/** An enrollment that is there already, and when the last of its channels was heard of, as far as that is written down. */
export type Holder = Enrollment & { last_contact_at: Date | null }

/** What a device that comes in is known by. */
interface Coming {
  /** UDID or EnrollmentID. */
  deviceId: string
  type: Enrollment['type']
  /** Of a device that proved to be the one with this serial number, whatever its UDID is now. */
  serialNumber: string | null
}

/**
 * Locks the enrollment that the device would take the place of (`own`), live or not, and those that its serial number had
 * under another UDID (`former`). All are locked in the order of their ids, so that two that come at once do not wait for each
 * other.
 */
export async function lockHolders(
  trx: Tx,
  { deviceId, type, serialNumber }: Coming,
): Promise<{ own: Holder | undefined; former: Holder[] }> {
  const ids = rowIds(deviceId)
  const { rows } = await sql<Holder>`
    select e.*, (
      select max(c.last_seen_at) from enrollments c
      where c.id = any(array(select e.id union all select u.id from enrollments u where u.parent_id = e.id))
    ) as last_contact_at
    from enrollments e
    where e.id = any(array(
      select h.id from enrollments h
      where lower(h.id) = any(${ids.map((id) => id.toLowerCase())}::text[])
        and starts_with(h.type, 'user_enrollment') = ${spaceOf(type) === 'enrollment_id'}
      union all
      select f.id from enrollments f
      where f.serial_number = ${serialNumber}::text and f.superseded_at is not null and f.unenrolled_at is null
    )) and e.parent_id is null
    order by e.id for update of e`.execute(trx)
  const own = rows.find((row) => isRowOf(row.id, deviceId))
  const former = rows.filter(
    (row) => row.superseded_at !== null && row.unenrolled_at === null && !isRowOf(row.id, deviceId),
  )
  return { own, former }
}

/**
 * How many places of a user's limit are taken: live devices, but for those that were erased, whose serial number came back under
 * another UDID, or that said Authenticate before `halfSince` and nothing after it. One row may be left out, and those of a UDID
 * or serial number.
 */
export async function countPlaces(
  db: Queries,
  userId: string,
  options: {
    halfSince: Date
    exceptId?: string | undefined
    exceptUdid?: string | undefined
    exceptSerial?: string | undefined
  },
): Promise<number> {
  const { halfSince, exceptId, exceptUdid, exceptSerial } = options
  let query = db
    .selectFrom('enrollments')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('user_id', '=', userId)
    .where('parent_id', 'is', null)
    .where('unenrolled_at', 'is', null)
    .where('erased_at', 'is', null)
    .where('superseded_at', 'is', null)
    .where(sql<boolean>`not (token_update_tally = 0 and authenticated_at <= ${halfSince}::timestamptz)`)
  if (exceptId !== undefined) query = query.where('id', '<>', exceptId)
  if (exceptUdid !== undefined)
    query = query.where(sql<boolean>`lower(udid) is distinct from lower(${exceptUdid})`)
  if (exceptSerial !== undefined)
    query = query.where(sql<boolean>`serial_number is distinct from ${exceptSerial}`)
  return (await query.executeTakeFirstOrThrow()).count
}

/** Notes that Apple is asked whether an enrollment is still there; false when that was done less than `seconds` ago. */
export async function noteAsked(trx: Tx, id: string, at: Date, seconds: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update enrollments set asked_at = ${at}::timestamptz
    where id = ${id}
      and (asked_at is null or asked_at <= ${at}::timestamptz - ${seconds}::integer * interval '1 second')`.execute(
    trx,
  )
  return numAffectedRows === 1n
}

/** Notes that a device was heard of, whom Apple had said to be gone. */
export async function noteAlive(db: Queries, id: string): Promise<void> {
  await db
    .updateTable('enrollments')
    .set({ unregistered_at: null })
    .where('id', '=', id)
    .where('unregistered_at', 'is not', null)
    .execute()
}

/** The user channels of a device, one left out, beyond the `most` that were heard of last. */
export async function unseenChannels(
  trx: Tx,
  deviceId: string,
  { except, most }: { except: string; most: number },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from enrollments where parent_id = ${deviceId} and id <> ${except}
    order by coalesce(last_seen_at, token_updated_at, created_at) desc, id desc offset ${most}`.execute(trx)
  return rows.map(({ id }) => id)
}

/** Live devices that give one of these serial numbers and came by a link or the page, by serial number. */
export async function enrolledOtherwise(
  db: Queries,
  serials: readonly string[],
): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ serial_number: string; ids: string[] }>`
    select serial_number, array_agg(id order by id) as ids from enrollments
    where serial_number = any(${serials}::text[]) and parent_id is null and unenrolled_at is null
      and way in ('link', 'page')
    group by serial_number`.execute(db)
  return new Map(rows.map(({ serial_number, ids }) => [serial_number, ids]))
}
