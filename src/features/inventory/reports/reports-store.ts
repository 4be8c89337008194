import { sql } from 'kysely'
import type { Tx } from '../../../db/index.ts'
import type { ToldFacts } from '../../../protocol/mdm/index.ts'
import type { Enrollment } from '../../devices/index.ts'

/** What is known of a device. */
export interface Details {
  enrollment_id: string
  facts: Partial<ToldFacts>
  search_terms: string[]
  authenticated_at: Date | null
  updated_at: Date
}

/**
 * The details of these devices, of which there are some from now on, locked. What a device told in an earlier enrollment is
 * forgotten.
 */
export async function lockDetails(
  trx: Tx,
  devices: readonly Pick<Enrollment, 'id' | 'authenticated_at'>[],
): Promise<Map<string, Details>> {
  const sorted = devices.toSorted((one, other) => (one.id < other.id ? -1 : 1))
  const ids = sorted.map(({ id }) => id)
  const begun = sorted.map(({ authenticated_at: at }) => at)
  await sql`
    insert into device_details (enrollment_id, authenticated_at, updated_at)
    select id, at, 'epoch' from unnest(${ids}::text[], ${begun}::timestamptz[]) as t (id, at) order by id
    on conflict do nothing`.execute(trx)
  const former = await sql<{ id: string }>`
    select d.enrollment_id as id from device_details d
    join unnest(${ids}::text[], ${begun}::timestamptz[]) as t (id, at) on t.id = d.enrollment_id
    where d.authenticated_at is distinct from t.at order by d.enrollment_id for update of d`.execute(trx)
  if (former.rows.length > 0) {
    const stale = new Set(former.rows.map(({ id }) => id))
    await forget(
      trx,
      sorted.filter(({ id }) => stale.has(id)),
    )
  }
  const { rows } = await sql<Details>`
    select enrollment_id, facts, search_terms, authenticated_at, updated_at from device_details
    where enrollment_id = any(${ids}::text[]) order by enrollment_id for update`.execute(trx)
  return new Map(rows.map((row) => [row.enrollment_id, row]))
}

async function forget(
  trx: Tx,
  devices: readonly Pick<Enrollment, 'id' | 'authenticated_at'>[],
): Promise<void> {
  const ids = devices.map(({ id }) => id)
  const begun = devices.map(({ authenticated_at: at }) => at)
  for (const table of ['device_profiles', 'device_apps', 'device_lists'] as const)
    await sql`delete from ${sql.table(table)} where enrollment_id = any(${ids}::text[])`.execute(trx)
  await sql`
    update device_details d set facts = '{}', search_terms = '{}', battery_level = null, capacity_gb = null,
      available_capacity_gb = null, passcode_present = null, passcode_compliant = null, hardware_encryption = null,
      file_vault_enabled = null, activation_lock_enabled = null, cloud_backup_enabled = null, carrier = null,
      authenticated_at = t.at
    from unnest(${ids}::text[], ${begun}::timestamptz[]) as t (id, at) where t.id = d.enrollment_id`.execute(
    trx,
  )
}

/** Writes details down; the columns are those of the facts. */
export async function saveDetails(trx: Tx, rows: readonly Details[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    update device_details d set facts = n.facts, search_terms = n.search_terms, updated_at = n.updated_at,
      battery_level = (n.facts ->> 'battery_level')::real,
      capacity_gb = (n.facts ->> 'capacity_gb')::real,
      available_capacity_gb = (n.facts ->> 'available_capacity_gb')::real,
      passcode_present = (n.facts ->> 'passcode_present')::boolean,
      passcode_compliant = (n.facts ->> 'passcode_compliant')::boolean,
      hardware_encryption = (n.facts ->> 'hardware_encryption')::integer,
      file_vault_enabled = (n.facts ->> 'file_vault_enabled')::boolean,
      activation_lock_enabled = (n.facts ->> 'activation_lock_enabled')::boolean,
      cloud_backup_enabled = (n.facts ->> 'cloud_backup_enabled')::boolean,
      carrier = n.facts ->> 'carrier'
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as n (enrollment_id text, facts jsonb, search_terms text[], updated_at timestamptz)
    where d.enrollment_id = n.enrollment_id`.execute(trx)
}

/** Which of these devices have given a whole list of a kind. */
export async function hadList(trx: Tx, ids: readonly string[], kind: string): Promise<Set<string>> {
  const rows = await trx
    .selectFrom('device_lists')
    .select('enrollment_id')
    .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
    .where('kind', '=', kind)
    .execute()
  return new Set(rows.map((row) => row.enrollment_id))
}

/** Notes when whole lists came. */
export async function noteList(
  trx: Tx,
  lists: readonly { id: string; kind: string; at: Date }[],
): Promise<void> {
  if (lists.length === 0) return
  await sql`
    insert into device_lists (enrollment_id, kind, received_at)
    select * from unnest(${lists.map(({ id }) => id)}::text[], ${lists.map(({ kind }) => kind)}::text[],
      ${lists.map(({ at }) => at)}::timestamptz[])
    on conflict (enrollment_id, kind) do update set received_at = excluded.received_at`.execute(trx)
}
