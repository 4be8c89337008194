import type { Queries, Tx } from '../../../db/index.ts'
import { need } from '../../../db/statements/delivery-needs.ts'
import { criticalOf } from '../../../db/statements/delivery-views.ts'
import { isOpen } from './schedule.ts'
import { retryCriticalRows } from './store.ts'

/** A critical thing that a device has not got. */
interface Missing {
  kind: string
  id: string
  name: string
  identifier: string | null
  state: string
  reason: string | null
}

/**
 * How it stands with what a device is to have before it leaves Setup Assistant: whether that is known for its present enrollment,
 * how much is still on its way, and what it has not got.
 */
export async function criticalState(
  db: Queries,
  enrollmentId: string,
): Promise<{ computed: boolean; open: number; missing: Missing[] }> {
  const rows = await criticalOf(db, enrollmentId)
  if (rows === undefined) return { computed: false, open: 0, missing: [] }
  const absent = rows.filter(({ state }) => state !== 'installed')
  return {
    computed: true,
    open: absent.filter(({ kept }) => isOpen(kept)).length,
    missing: absent.map(({ kept: _kept, ...told }) => told),
  }
}

/** Has what is critical and has failed tried again at once; gives how much that is. */
export async function retryCritical(trx: Tx, enrollmentId: string, now: Date): Promise<number> {
  const count = await retryCriticalRows(trx, enrollmentId)
  if (count > 0) await need(trx, [enrollmentId], { cause: 'retried', changeId: null, now })
  return count
}
