import type { Selectable } from 'kysely'
import type { Queries, Tx } from '../../../db/index.ts'
import type { DeviceCodesTable } from '../../../db/tables/enrollment.ts'

/** A code of a device, sealed. */
export type DeviceCode = Selectable<DeviceCodesTable>

/** Keeps a code; the same command brings the same one. */
export async function insertCode(trx: Tx, code: Omit<DeviceCode, 'seq'>): Promise<void> {
  await trx
    .insertInto('device_codes')
    .values(code)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** The codes of a kind, the newest first, at most `limit`. */
export function listCodes(
  db: Queries,
  enrollmentId: string,
  kind: DeviceCode['kind'],
  limit: number,
): Promise<DeviceCode[]> {
  return db
    .selectFrom('device_codes')
    .selectAll()
    .where('enrollment_id', '=', enrollmentId)
    .where('kind', '=', kind)
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute()
}
