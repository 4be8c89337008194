import { sql, type RawBuilder } from 'kysely'
import type { Queries } from '../database.ts'
import type { DeliveriesTable } from '../tables/rollout.ts'

type Kind = DeliveriesTable['kind']

/** States in which a delivery is told. */
export type ToldState = 'pending' | 'sent' | 'waiting' | 'installed' | 'failed' | 'expired' | 'removing'

/** A delivery as it is told. */
export interface DeliveryView {
  enrollment_id: string
  kind: Kind
  id: string
  name: string | null
  identifier: string | null
  revision: number | null
  state: ToldState
  reason: string | null
  error_chain: unknown
  because: { group_id: string; group_name: string }[]
  critical: boolean
  attempts: number
  next_try_at: Date | null
  updated_at: Date
}

/** Of what is queued the queue knows whether it went out, and whether the device has said NotNow. */
const STATE = sql`case when d.state = 'queued' then
  case p.state when 'queued' then 'pending' when 'not_now' then 'waiting' else 'sent' end else d.state end`

const REASON = sql`case when d.state = 'queued' and p.state = 'not_now' then 'not_now' else d.reason end`

const QUEUE = sql`left join pending_deliveries p on p.enrollment_id = d.target_id and p.command_uuid = d.command_uuid`

/** What a device has, and is to have, in its order. */
export async function deliveriesOf(
  db: Queries,
  enrollmentId: string,
  query: { limit: number; offset: number },
): Promise<DeliveryView[]> {
  const { rows } = await sql<DeliveryView>`
    select d.enrollment_id, d.kind, d.thing_id as id, coalesce(f.name, a.name) as name, d.identifier, d.revision,
      ${STATE} as state, ${REASON} as reason,
      d.error_chain, d.critical, d.attempts, d.next_try_at, d.updated_at,
      (select coalesce(jsonb_agg(jsonb_build_object('group_id', g.id, 'group_name', g.name) order by g.name), '[]')
        from groups g where g.id = any(d.group_ids)) as because
    from deliveries d ${QUEUE}
    left join profiles f on d.kind = 'profile' and f.id = d.thing_id
    left join apps a on d.kind = 'app' and a.id = d.thing_id
    where d.enrollment_id = ${enrollmentId}
    order by d.is_wanted desc, d.place, d.kind, d.thing_id limit ${query.limit} offset ${query.offset}`.execute(
    db,
  )
  return rows
}

/** A critical thing of a device, as it is kept and as it is told. */
interface CriticalView extends Pick<DeliveryView, 'kind' | 'id' | 'identifier' | 'state' | 'reason'> {
  name: string
  kept: Pick<DeliveriesTable, 'state' | 'reason'>
}

/** What is critical of what a device is to have in its present enrollment, in its order; undefined while that is not known yet. */
export async function criticalOf(db: Queries, enrollmentId: string): Promise<CriticalView[] | undefined> {
  const { rows } = await sql<CriticalView | { kind: null }>`
    select d.kind, d.thing_id as id, coalesce(f.name, a.name, d.thing_id) as name, d.identifier, ${STATE} as state,
      ${REASON} as reason, jsonb_build_object('state', d.state, 'reason', d.reason) as kept
    from delivery_devices v
    join enrollments v_of on v_of.id = v.enrollment_id and v_of.generation = v.generation
    left join deliveries d on d.enrollment_id = v.enrollment_id and d.is_wanted and d.critical ${QUEUE}
    left join profiles f on d.kind = 'profile' and f.id = d.thing_id
    left join apps a on d.kind = 'app' and a.id = d.thing_id
    where v.enrollment_id = ${enrollmentId} order by d.place`.execute(db)
  return rows.length === 0 ? undefined : rows.filter((row) => row.kind !== null)
}

/** Whose deliveries are counted. */
export type StatusOf = { group: string } | { kind: Kind; id: string }

function within(of: StatusOf): RawBuilder<boolean> {
  return 'group' in of
    ? sql`d.enrollment_id in (select enrollment_id from group_members where group_id = ${of.group})
        and ${of.group} = any(d.group_ids)`
    : sql`d.kind = ${of.kind} and d.thing_id = ${of.id}`
}

/** How many deliveries there are in each state. */
export async function countStates(db: Queries, of: StatusOf): Promise<Map<ToldState, number>> {
  const { rows } = await sql<{ state: ToldState; count: number }>`
    select ${STATE} as state, count(*)::integer as count from deliveries d ${QUEUE}
    where ${within(of)} group by 1`.execute(db)
  return new Map(rows.map(({ state, count }) => [state, count]))
}

/** A device with a delivery in some state. */
interface DeviceInState {
  device_id: string
  serial_number: string | null
  device_name: string | null
  kind: Kind
  id: string
  revision: number | null
  reason: string | null
  updated_at: Date
}

/** The devices with deliveries in a state, by id from after `after`. */
export async function devicesInState(
  db: Queries,
  of: StatusOf,
  query: { state: ToldState; after: readonly [string, string, string]; limit: number },
): Promise<DeviceInState[]> {
  const [device, kind, thing] = query.after
  const { rows } = await sql<DeviceInState>`
    select d.enrollment_id as device_id, e.serial_number, e.device_name, d.kind, d.thing_id as id, d.revision, d.reason,
      d.updated_at
    from deliveries d ${QUEUE} join enrollments e on e.id = d.enrollment_id
    where ${within(of)} and ${STATE} = ${query.state}
      and (d.enrollment_id, d.kind, d.thing_id) > (${device}, ${kind}, ${thing})
    order by d.enrollment_id, d.kind, d.thing_id limit ${query.limit}`.execute(db)
  return rows
}
