import type { AdeDeps } from '../deps.ts'
import * as store from './store.ts'

/** Days before the end at which it is warned, and 0: when it has come. Nearest first. */
const THRESHOLDS = [0, 1, 7, 14, 30]
const DAY_MS = 24 * 60 * 60 * 1000

/** A background job: warns of server tokens that expire, once a threshold for all processes. */
export async function sweepExpiry(deps: Pick<AdeDeps, 'db' | 'clock' | 'events'>): Promise<void> {
  const now = deps.clock.now().getTime()
  for (const server of await store.findServersWithToken(deps.db.kysely)) {
    const { token_expires_at: expiresAt } = server
    if (expiresAt === null) continue
    const leftMs = expiresAt.getTime() - now
    const days = THRESHOLDS.find((threshold) => leftMs <= threshold * DAY_MS)
    if (days !== undefined) await warn(deps, server, expiresAt, days)
  }
}

async function warn(
  deps: Pick<AdeDeps, 'db' | 'events'>,
  server: store.ServerRow,
  expiresAt: Date,
  days: number,
): Promise<void> {
  await deps.db.transaction(async (trx) => {
    if (!(await store.setWarned(trx, server, days))) return
    await deps.events.emit(trx, {
      type: 'ade_server.token_expiring',
      reason: days === 0 ? 'expired' : `${days}_days`,
      data: {
        ...{ ade_server_id: server.id, name: server.name, apple_id: server.apple_id },
        ...{ expires_at: expiresAt.toISOString(), days },
        what_to_do:
          'Download a new token for this server in Apple Business Manager (or School Manager), with the same Apple ID, and upload it here.',
      },
    })
  })
}
