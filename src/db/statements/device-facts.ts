import { sql, type Kysely, type RawBuilder } from 'kysely'
import type { Database } from '../tables/index.ts'
import type { Tx } from '../transaction.ts'

// What rules of groups may ask of devices stands in the tables of several slices.

/** What is known of a live device, from wherever it is known. */
export interface FactSource {
  enrollment_id: string
  authenticated_at: Date | null
  policy_id: string | null
  policy_name: string | null
  user_id: string | null
  user_name: string | null
  user_name_key: string | null
  serial_number: string | null
  udid: string | null
  device_name: string | null
  product_name: string | null
  model_name: string | null
  os_version: string | null
  build_version: string | null
  supervised: boolean | null
  enrollment_type: string
  way: string | null
  ade_server_id: string | null
  enrolled_at: Date | null
  last_seen_at: Date | null
}

/** What is known of those of these enrollments that are live devices. */
export async function readFacts(db: Kysely<Database>, ids: readonly string[]): Promise<FactSource[]> {
  const { rows } = await sql<FactSource>`
    select e.id as enrollment_id, e.authenticated_at, e.policy_id, p.name as policy_name, e.user_id, u.user_name,
      u.user_name_key, e.serial_number, e.udid, e.device_name, e.product_name, e.model_name, e.os_version,
      e.build_version, e.supervised, e.type as enrollment_type, e.way, a.ade_server_id, e.enrolled_at, e.last_seen_at
    from enrollments e
    left join enrollment_policies p on p.id = e.policy_id
    left join users u on u.id = e.user_id
    left join ade_devices a on a.serial_number = e.serial_number and a.removed_at is null and a.released_at is null
    where e.id = any(${ids}::text[]) and e.parent_id is null and e.unenrolled_at is null
      and e.authenticated_at is not null`.execute(db)
  return rows
}

/** Writes down when these devices were last heard of, as far as rules see it. */
export async function copyLastSeen(trx: Tx, ids: readonly string[]): Promise<void> {
  await sql`
    update device_facts f set last_seen_at = e.last_seen_at
    from enrollments e
    where f.enrollment_id = any(${ids}::text[]) and e.id = f.enrollment_id
      and e.last_seen_at is distinct from f.last_seen_at`.execute(trx)
}

/** The facts of devices `f` as a rule sees them that looks at `SEEN_NOW`. */
export const FACTS_NOW = sql`device_facts f join enrollments e on e.id = f.enrollment_id`
/** When the device was heard of last. */
export const SEEN_NOW: RawBuilder<unknown> = sql.ref('e.last_seen_at')

/** Which of these are ids of no enrollment policy, or of no ADE server. */
export async function unknownIds(
  db: Kysely<Database>,
  table: 'ade_servers' | 'enrollment_policies',
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const { rows } = await sql<{ id: string }>`
    select id from unnest(${ids}::text[]) as w (id)
    where not exists (select from ${sql.table(table)} t where t.id = w.id)`.execute(db)
  return new Set(rows.map(({ id }) => id))
}

/** Has the devices of these people and policies put into their groups anew. */
export async function groupDevicesOf(
  trx: Tx,
  of: { userIds: readonly string[]; policyIds: readonly string[] },
  maker: { by: string | null; via: string | null },
): Promise<void> {
  await sql`
    insert into devices_to_group (enrollment_id, by, via)
    select id, ${maker.by}::jsonb, ${maker.via}
    from (
      select id from enrollments where user_id = any(${of.userIds}::text[])
      union select enrollment_id from device_facts where user_id = any(${of.userIds}::text[])
      union select id from enrollments where policy_id = any(${of.policyIds}::text[])
      union select enrollment_id from device_facts where policy_id = any(${of.policyIds}::text[])
    ) as d (id)
    order by id`.execute(trx)
}

/** Has the devices put into their groups anew of which Apple's server is not the one that is written down. */
export async function groupDevicesOfOtherServers(trx: Tx): Promise<void> {
  await sql`
    insert into devices_to_group (enrollment_id)
    select f.enrollment_id
    from device_facts f left join ade_devices a
      on a.serial_number = f.serial_number and a.removed_at is null and a.released_at is null
    where f.ade_server_id is distinct from a.ade_server_id
    order by f.enrollment_id`.execute(trx)
}
