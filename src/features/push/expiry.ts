import type { Db } from '../../db/index.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Events } from '../events/index.ts'
import * as store from './store.ts'

/** Days before the end at which it is warned, and 0: when it has come. Nearest first. */
const THRESHOLDS = [0, 1, 7, 14, 30]
const DAY_MS = 24 * 60 * 60 * 1000
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
  const { db, clock } = deps
  const now = clock.now()
  for (const certificate of await store.findSendingState(db.kysely)) {
    const leftMs = certificate.not_after.getTime() - now.getTime()
    const threshold = THRESHOLDS.find((days) => leftMs <= days * DAY_MS)
    if (threshold !== undefined) await warn(deps, certificate, threshold)
  }
  const before = addTime(now, -KEEP_PUSHED_DAYS, 'day')
  while ((await store.deletePushedBefore(db.kysely, before, SWEEP_BATCH)) === SWEEP_BATCH);
}

async function warn(
  deps: { db: Db; events: Pick<Events, 'emit'> },
  certificate: { topic: string; version: number; not_after: Date },
  days: number,
): Promise<void> {
  const { topic, not_after } = certificate
  await deps.db.transaction(async (trx) => {
    if (!(await store.setWarned(trx, certificate, days))) return
    await deps.events.emit(trx, {
      type: 'push_certificate.expiring',
      reason: days === 0 ? 'expired' : `${days}_days`,
      data: { topic, not_after: not_after.toISOString(), days },
    })
  })
}
