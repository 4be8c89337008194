import { sql, type Selectable } from 'kysely'
import type { Tx } from '../../../db/index.ts'
import type { DeviceNamesTable } from '../../../db/tables/enrollment.ts'

/** How a device is to be called, and how far that is. */
export type DeviceName = Selectable<DeviceNamesTable>

/** How these devices are to be called, as far as that was decided before; locked. */
export async function lockNames(trx: Tx, ids: readonly string[]): Promise<Map<string, DeviceName>> {
  const rows = await trx
    .selectFrom('device_names')
    .selectAll()
    .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
    .orderBy('enrollment_id')
    .forUpdate()
    .execute()
  return new Map(rows.map((row) => [row.enrollment_id, row]))
}

/** Writes down how devices are to be called. */
export async function saveNames(trx: Tx, rows: readonly DeviceName[]): Promise<void> {
  if (rows.length === 0) return
  await trx
    .insertInto('device_names')
    .values([...rows].toSorted((one, other) => (one.enrollment_id < other.enrollment_id ? -1 : 1)))
    .onConflict((oc) =>
      oc.column('enrollment_id').doUpdateSet((eb) => ({
        wanted: eb.ref('excluded.wanted'),
        authenticated_at: eb.ref('excluded.authenticated_at'),
        tries: eb.ref('excluded.tries'),
        state: eb.ref('excluded.state'),
        updated_at: eb.ref('excluded.updated_at'),
      })),
    )
    .execute()
}
