import { sql, type RawBuilder, type Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import { addDevices } from '../../../db/statements/delivery-needs.ts'
import type { DeliveriesTable } from '../../../db/tables/rollout.ts'

/** How far a thing has come with a device. */
export type Row = Selectable<DeliveriesTable>

/** A device that is to be visited, and why. */
export interface Need {
  enrollment_id: string
  cause: string
  change_id: string | null
}

/** Takes devices that are to be visited, those by themselves before those of large changes, and those whose time has come. */
export async function takeNeeds(trx: Tx, query: { now: Date; limit: number }): Promise<Need[]> {
  const { now, limit } = query
  const { rows } = await sql<Need>`
    with needed as materialized (
      delete from delivery_needs where ctid = any(array(
        select ctid from delivery_needs
        order by (change_id is not null), asked_at, enrollment_id limit ${limit} for update skip locked))
      returning enrollment_id, cause, change_id
    ), due as (
      update delivery_devices set due_at = null where ctid = any(array(
        select ctid from delivery_devices where due_at <= ${now}::timestamptz
        order by due_at limit ${limit}::bigint - (select count(*) from needed) for update skip locked))
      returning enrollment_id
    )
    select enrollment_id, cause, change_id from needed
    union all select enrollment_id, 'due', null from due where enrollment_id not in (select enrollment_id from needed)`.execute(
    trx,
  )
  return rows
}

/** Of which enrollment of a device the rows are; 0: of none yet. */
export interface Visited {
  enrollment_id: string
  generation: number
}

/** Locks devices for a visit; those that another process is at, and those that were deleted, are left out. */
export async function lockDevices(trx: Tx, ids: readonly string[]): Promise<Map<string, Visited>> {
  await addDevices(trx, ids)
  const { rows } = await sql<Visited>`
    select enrollment_id, generation from delivery_devices
    where enrollment_id = any(${ids}::text[]) order by enrollment_id for update skip locked`.execute(trx)
  return new Map(rows.map((row) => [row.enrollment_id, row]))
}

/** Notes that devices were visited, and when they are next. */
export async function noteVisits(
  trx: Tx,
  visits: readonly { id: string; generation: number; dueAt: Date | null }[],
  now: Date,
): Promise<void> {
  await sql`
    update delivery_devices d set generation = v.generation, computed_at = ${now}, due_at = v.due_at
    from unnest(${visits.map(({ id }) => id)}::text[], ${visits.map((one) => one.generation)}::integer[],
      ${visits.map(({ dueAt }) => dueAt)}::timestamptz[]) as v (id, generation, due_at)
    where d.enrollment_id = v.id`.execute(trx)
}

/** Forgets devices that are not enrolled any more. */
export async function forgetDevices(trx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  for (const table of ['deliveries', 'delivered_commands', 'delivery_devices'] as const)
    await trx
      .deleteFrom(table)
      .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
      .execute()
}

/** The rows of devices. */
export function rowsOf(db: Queries, ids: readonly string[]): Promise<Row[]> {
  return db
    .selectFrom('deliveries')
    .selectAll()
    .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
    .orderBy('enrollment_id')
    .orderBy('place')
    .execute()
}

const TYPES = {
  enrollment_id: 'text',
  kind: 'text',
  thing_id: 'text',
  identifier: 'text',
  is_wanted: 'boolean',
  revision: 'integer',
  ring: 'integer',
  critical: 'boolean',
  place: 'integer',
  group_ids: 'text',
  state: 'text',
  reason: 'text',
  error_chain: 'text',
  attempts: 'integer',
  next_try_at: 'timestamptz',
  command_uuid: 'text',
  target_id: 'text',
  sent_revision: 'integer',
  sent_rendering: 'text',
  there_revision: 'integer',
  there_rendering: 'text',
  may_be_there: 'boolean',
  acknowledged_at: 'timestamptz',
  is_listed: 'boolean',
  asked_at: 'timestamptz',
  asks: 'integer',
  cause: 'text',
  change_id: 'text',
  updated_at: 'timestamptz',
} as const satisfies Record<keyof Row, string>

const COLUMNS = Object.keys(TYPES) as (keyof Row)[]
const KEY: readonly (keyof Row)[] = ['enrollment_id', 'kind', 'thing_id']

/** Writes rows, new ones and changed ones. What is the same in all of them, as most is in a large change, travels once. */
export async function saveRows(trx: Tx, rows: readonly Row[]): Promise<void> {
  const [first] = rows
  if (first === undefined) return
  const isShared = (name: keyof Row) => {
    const value = valueOf(first, name)
    return !KEY.includes(name) && rows.every((row) => isEqual(valueOf(row, name), value))
  }
  const own = COLUMNS.filter((name) => !isShared(name))
  const refs = (names: readonly (keyof Row)[]) => sql.join(names.map((name) => sql.ref(name)))
  const arrays = sql.join(
    own.map((name) => sql`${rows.map((row) => valueOf(row, name))}::${sql.raw(TYPES[name])}[]`),
  )
  const values = sql.join(
    COLUMNS.map((name) =>
      asStored(
        name,
        own.includes(name) ? sql`r.${sql.ref(name)}` : sql`${valueOf(first, name)}::${sql.raw(TYPES[name])}`,
      ),
    ),
  )
  const changes = sql.join(
    COLUMNS.filter((name) => !KEY.includes(name)).map(
      (name) => sql`${sql.ref(name)} = excluded.${sql.ref(name)}`,
    ),
  )
  await sql`
    insert into deliveries (${refs(COLUMNS)})
    select ${values} from unnest(${arrays}) as r (${refs(own)})
    on conflict (enrollment_id, kind, thing_id) do update set ${changes}`.execute(trx)
}

function isEqual(one: unknown, other: unknown): boolean {
  return one instanceof Date && other instanceof Date ? one.getTime() === other.getTime() : one === other
}

/** Arrays of arrays must be of one length, so the groups travel as JSON. */
function valueOf(row: Row, name: keyof Row): unknown {
  if (name === 'group_ids') return JSON.stringify(row.group_ids)
  if (name === 'error_chain') return row.error_chain === null ? null : JSON.stringify(row.error_chain)
  return row[name]
}

function asStored(name: keyof Row, value: RawBuilder<unknown>) {
  if (name === 'group_ids') return sql`array(select jsonb_array_elements_text((${value})::jsonb))`
  return name === 'error_chain' ? sql`(${value})::jsonb` : value
}

/** Deletes rows. */
export async function deleteRows(trx: Tx, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    delete from deliveries d using unnest(${rows.map((row) => row.enrollment_id)}::text[],
      ${rows.map(({ kind }) => kind)}::text[], ${rows.map((row) => row.thing_id)}::text[]) as r (id, kind, thing_id)
    where d.enrollment_id = r.id and d.kind = r.kind and d.thing_id = r.thing_id`.execute(trx)
}

/** The changes that rows and needs are of: for how many devices they are, and whether somebody has stopped them. */
export async function changesOf(
  db: Queries,
  rows: readonly Row[],
  needs: readonly Need[],
): Promise<Map<string, { devices: number; isStopped: boolean }>> {
  const ids = new Set([...rows, ...needs].flatMap(({ change_id: id }) => id ?? []))
  if (ids.size === 0) return new Map()
  const changes = await db
    .selectFrom('delivery_changes')
    .select(['id', 'devices', 'state'])
    .where(sql<boolean>`id = any(${[...ids]}::text[])`)
    .execute()
  return new Map(changes.map(({ id, devices, state }) => [id, { devices, isStopped: state === 'stopped' }]))
}

/** When devices last joined for a command of a group that they were given; by device and item. */
export async function deliveredCommands(db: Queries, ids: readonly string[]): Promise<Map<string, Date>> {
  const rows = await db
    .selectFrom('delivered_commands')
    .select(['enrollment_id', 'item_id', 'joined_at'])
    .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
    .execute()
  return new Map(rows.map((row) => [`${row.enrollment_id} ${row.item_id}`, row.joined_at]))
}

/** Notes that devices were given commands of groups. */
export async function noteDeliveredCommands(
  trx: Tx,
  given: readonly { id: string; itemId: string; joinedAt: Date; uuid: string }[],
): Promise<void> {
  if (given.length === 0) return
  await sql`
    insert into delivered_commands (enrollment_id, item_id, joined_at, command_uuid)
    select * from unnest(${given.map(({ id }) => id)}::text[], ${given.map(({ itemId }) => itemId)}::text[],
      ${given.map(({ joinedAt }) => joinedAt)}::timestamptz[], ${given.map(({ uuid }) => uuid)}::text[])
    on conflict (enrollment_id, item_id) do update set
      joined_at = excluded.joined_at, command_uuid = excluded.command_uuid`.execute(trx)
}

/** Has what is critical and has failed tried again, where time would bring another try; gives how much that is. */
export async function retryCriticalRows(trx: Tx, enrollmentId: string): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('deliveries')
    .set({ state: 'pending', reason: null, next_try_at: null })
    .where('enrollment_id', '=', enrollmentId)
    .where('critical', '=', true)
    .where('is_wanted', '=', true)
    .where('state', '=', 'failed')
    .where('next_try_at', 'is not', null)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

/** Waits until no visit of a device is under way, which would write back what it has loaded, and lets none begin. */
export async function lockDevice(trx: Tx, enrollmentId: string): Promise<void> {
  await trx
    .selectFrom('delivery_devices')
    .select('enrollment_id')
    .where('enrollment_id', '=', enrollmentId)
    .forUpdate()
    .execute()
}

/** Notes what goes out to a device. */
export async function noteRendered(
  trx: Tx,
  { enrollment_id, kind, thing_id, command_uuid }: Row,
  rendering: string,
): Promise<void> {
  await lockDevice(trx, enrollment_id)
  await trx
    .updateTable('deliveries')
    .set({ sent_rendering: rendering, may_be_there: true })
    .where('enrollment_id', '=', enrollment_id)
    .where('kind', '=', kind)
    .where('thing_id', '=', thing_id)
    .where('command_uuid', '=', command_uuid)
    .execute()
}
