import type { Db } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { expiryWarning } from '../../kernel/expiry.ts'
import type { Events } from '../events/index.ts'
import * as store from './store.ts'

/** Apple has thrown away a push of that age (see the expiration in sender.ts), so its device will not come for it. */
const KEEP_PUSHED_DAYS = 7
const SWEEP_BATCH = 1_000

/**
 * A background job: warns, once per threshold whatever the number of processes, of push certificates that expire,
 * and forgets pushes that Apple took long ago.
 */
export async function sweepExpiry(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
}): Promise<void> {
  const { db, clock, events } = deps
  const now = clock.now()
  for (const certificate of await store.findSendingState(db.kysely)) {
    const { topic, not_after: end } = certificate
    const warning = expiryWarning(end, now)
    if (warning === undefined) continue
    const { days, reason } = warning
    await db.transaction(async (trx) => {
      if (!(await store.setWarned(trx, certificate, days))) return
      const data = { topic, not_after: end.toISOString(), days }
      await events.emit(trx, { type: 'push_certificate.expiring', reason, data })
    })
  }
  const before = addTime(now, -KEEP_PUSHED_DAYS, 'day')
  while ((await store.deletePushedBefore(db.kysely, before, SWEEP_BATCH)) === SWEEP_BATCH);
}
