import { sql, type Selectable } from 'kysely'
import type { Tx } from '../../../db/index.ts'
import type { DeviceAppsTable, DeviceProfilesTable } from '../../../db/tables/inventory.ts'

/** A profile on a device. */
export type ProfileRow = Selectable<DeviceProfilesTable>

/** An app on a device. */
export type AppRow = Selectable<DeviceAppsTable>

/** Rows that one statement writes. */
const AT_ONCE = 2_000

/** The profiles of these devices. */
export function profilesOf(trx: Tx, ids: readonly string[]): Promise<ProfileRow[]> {
  return trx
    .selectFrom('device_profiles')
    .selectAll()
    .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
    .execute()
}

/** The identifier of the profile by which a device is managed, as it last listed that; undefined where it has listed none. */
export async function managingProfileOf(trx: Tx, id: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom('device_profiles')
    .select('identifier')
    .where('enrollment_id', '=', id)
    .where(sql<boolean>`'com.apple.mdm' = any(payload_types)`)
    .orderBy('identifier')
    .limit(1)
    .executeTakeFirst()
  return row?.identifier
}

/** The apps of these devices. */
export function appsOf(trx: Tx, ids: readonly string[]): Promise<AppRow[]> {
  return trx
    .selectFrom('device_apps')
    .selectAll()
    .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
    .execute()
}

/** Takes profiles away. */
export async function deleteProfiles(trx: Tx, rows: readonly ProfileRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    delete from device_profiles p using unnest(${rows.map((row) => row.enrollment_id)}::text[],
      ${rows.map((row) => row.identifier)}::text[], ${rows.map((row) => row.uuid)}::text[]) as g (id, identifier, uuid)
    where p.enrollment_id = g.id and p.identifier = g.identifier and p.uuid = g.uuid`.execute(trx)
}

/** Takes apps away. */
export async function deleteApps(trx: Tx, rows: readonly AppRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql`
    delete from device_apps a using unnest(${rows.map((row) => row.enrollment_id)}::text[],
      ${rows.map((row) => row.identifier)}::text[]) as g (id, identifier)
    where a.enrollment_id = g.id and a.identifier = g.identifier`.execute(trx)
}

/** Writes profiles as they are now. */
export async function saveProfiles(trx: Tx, rows: readonly ProfileRow[]): Promise<void> {
  for (const part of parts(rows))
    await sql`
      insert into device_profiles (enrollment_id, identifier, uuid, display_name, organization, payload_version, is_managed,
        is_removal_disallowed, has_removal_passcode, is_encrypted, source, payload_types, received_at)
      select n.enrollment_id, n.identifier, n.uuid, n.display_name, n.organization, n.payload_version, n.is_managed,
        n.is_removal_disallowed, n.has_removal_passcode, n.is_encrypted, n.source, n.payload_types, n.received_at
      from jsonb_populate_recordset(null::device_profiles, ${part}::jsonb) n
      on conflict (enrollment_id, identifier, uuid) do update set display_name = excluded.display_name,
        organization = excluded.organization, payload_version = excluded.payload_version,
        is_managed = excluded.is_managed, is_removal_disallowed = excluded.is_removal_disallowed,
        has_removal_passcode = excluded.has_removal_passcode, is_encrypted = excluded.is_encrypted,
        source = excluded.source, payload_types = excluded.payload_types, received_at = excluded.received_at`.execute(
      trx,
    )
}

/** Writes apps as they are now. */
export async function saveApps(trx: Tx, rows: readonly AppRow[]): Promise<void> {
  for (const part of parts(rows))
    await sql`
      insert into device_apps (enrollment_id, identifier, is_installed, name, version, short_version, bundle_size,
        is_installing, is_validated, external_version, source, managed_status, management_flags, has_configuration,
        has_feedback, received_at)
      select n.enrollment_id, n.identifier, n.is_installed, n.name, n.version, n.short_version, n.bundle_size,
        n.is_installing, n.is_validated, n.external_version, n.source, n.managed_status, n.management_flags,
        n.has_configuration, n.has_feedback, n.received_at
      from jsonb_populate_recordset(null::device_apps, ${part}::jsonb) n
      on conflict (enrollment_id, identifier) do update set is_installed = excluded.is_installed, name = excluded.name,
        version = excluded.version, short_version = excluded.short_version, bundle_size = excluded.bundle_size,
        is_installing = excluded.is_installing, is_validated = excluded.is_validated,
        external_version = excluded.external_version, source = excluded.source,
        managed_status = excluded.managed_status, management_flags = excluded.management_flags,
        has_configuration = excluded.has_configuration, has_feedback = excluded.has_feedback,
        received_at = excluded.received_at`.execute(trx)
}

/** Rows as JSON, some at a time. */
function* parts(rows: readonly object[]): Generator<string> {
  for (let from = 0; from < rows.length; from += AT_ONCE)
    yield JSON.stringify(rows.slice(from, from + AT_ONCE))
}
