import { expiryWarning } from '../../../kernel/expiry.ts'
import type { AdeDeps } from '../deps.ts'
import * as store from './store.ts'

/** A background job: warns of server tokens that expire, once a threshold for all processes. */
export async function sweepExpiry(deps: Pick<AdeDeps, 'db' | 'clock' | 'events'>): Promise<void> {
  const { db, clock, events } = deps
  for (const server of await store.findServersWithToken(db.kysely)) {
    const { id, name, apple_id, token_expires_at: end } = server
    const warning = end === null ? undefined : expiryWarning(end, clock.now())
    if (end === null || warning === undefined) continue
    const { days, reason } = warning
    await db.transaction(async (trx) => {
      if (!(await store.setWarned(trx, server, days))) return
      await events.emit(trx, {
        type: 'ade_server.token_expiring',
        reason,
        data: {
          ade_server_id: id,
          name,
          apple_id,
          expires_at: end.toISOString(),
          days,
          what_to_do:
            'Download a new token for this server in Apple Business Manager (or School Manager), with the same Apple ID, and upload it here.',
        },
      })
    })
  }
}
