import { sql, type Insertable } from 'kysely'
import type { Tx } from '../../../db/index.ts'
import type { DeviceFactsTable } from '../../../db/tables/groups.ts'

/** What rules may ask of a device. */
export type DeviceFacts = Omit<Insertable<DeviceFactsTable>, 'grouped_at_event'>

const COLUMNS = [
  'authenticated_at',
  'policy_id',
  'policy_name',
  'user_id',
  'user_name',
  'user_name_key',
  'serial_number',
  'udid',
  'device_name',
  'product_name',
  'model_name',
  'platform',
  'os_version',
  'os_version_parts',
  'build_version',
  'build_version_parts',
  'supervised',
  'enrollment_type',
  'way',
  'ade_server_id',
  'enrolled_at',
  'last_seen_at',
] as const satisfies readonly (keyof DeviceFacts)[]

const columnsOf = (table: string) => sql.join(COLUMNS.map((column) => sql.ref(`${table}.${column}`)))

/**
 * Locks the rows of these devices, which are made where there are none, until the transaction ends; in the order of their ids, so
 * that two who put devices into groups do not wait for each other.
 */
export async function lockFacts(trx: Tx, ids: readonly string[]): Promise<void> {
  await sql`
    insert into device_facts (enrollment_id) select distinct id from unnest(${ids}::text[]) as d (id) order by id
    on conflict do nothing`.execute(trx)
  await sql`
    select from device_facts where enrollment_id = any(${ids}::text[])
    order by enrollment_id for no key update`.execute(trx)
}

/** Writes what is known of devices, whose rows are locked, where it is something else than before. */
export async function writeFacts(trx: Tx, facts: readonly DeviceFacts[]): Promise<void> {
  if (facts.length === 0) return
  const set = sql.join(COLUMNS.map((column) => sql`${sql.ref(column)} = ${sql.ref(`n.${column}`)}`))
  await sql`
    update device_facts f set ${set}
    from json_populate_recordset(null::device_facts, ${JSON.stringify(facts)}::json) as n
    where f.enrollment_id = n.enrollment_id and (${columnsOf('f')}) is distinct from (${columnsOf('n')})`.execute(
    trx,
  )
}

/** Forgets what was known of devices. */
export async function deleteFacts(trx: Tx, ids: readonly string[]): Promise<void> {
  await sql`delete from device_facts where enrollment_id = any(${ids}::text[])`.execute(trx)
}

/** Notes the `device.enrolled` of devices; gives those of which it was not noted yet. */
export async function noteEnrolled(trx: Tx, events: ReadonlyMap<string, number>): Promise<EnrolledDevice[]> {
  const { rows } = await sql<EnrolledDevice>`
    update device_facts f set grouped_at_event = n.event
    from unnest(${[...events.keys()]}::text[], ${[...events.values()]}::bigint[]) as n (id, event)
    where f.enrollment_id = n.id and f.grouped_at_event < n.event and f.enrolled_at is not null
    returning f.enrollment_id, f.enrolled_at, f.serial_number`.execute(trx)
  return rows
}

/** A device that enrolled. */
interface EnrolledDevice {
  enrollment_id: string
  enrolled_at: Date
  serial_number: string | null
}

/** The devices of which something is known, by id, from after `after`. */
export async function nextDevices(trx: Tx, after: string, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select enrollment_id as id from device_facts where enrollment_id > ${after}
    order by enrollment_id limit ${limit}`.execute(trx)
  return rows.map(({ id }) => id)
}
