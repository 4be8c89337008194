import { createLeases } from '../../../db/index.ts'
import { createPassLoop } from '../../../kernel/pass-loop.ts'
import type { AdeDeps } from '../deps.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import { createAddress } from './address.ts'
import { createAssigner } from './assigner.ts'
import { LostWork, NotNow } from './calls.ts'
import { hasWork } from './store.ts'

/** Changes of the same moment are taken together. */
const DEBOUNCE_MS = 10
/** How soon it is tried again when another process is at work. */
const BUSY_MS = 1_000
/** How often policies are looked at without being told that one has changed. */
const REFRESH_MS = 60_000

/**
 * Brings what Apple has to what is wanted, for all servers. There is one pass at a time in a process, and one process at a
 * time for a server.
 */
export function createReconciler(deps: AdeDeps & { apple: Apple; worker: string }) {
  const { db, clock, log } = deps
  const leases = createLeases(deps, { table: 'ade_servers', worker: deps.worker })
  const loop = createPassLoop({
    clock,
    debounceMs: DEBOUNCE_MS,
    pass: passOverAll,
    nextIn: () => Promise.resolve(areOthersBusy ? BUSY_MS : undefined),
    onFailure: (error) =>
      log.error({ event: 'ade.reconcile_failed', err: error }, 'what is to be assigned could not be read'),
  })
  const assign = createAssigner({ ...deps, leases, isClosing: loop.isClosed })
  const address = createAddress(deps)
  let areOthersBusy = false
  let refreshedAt = -Infinity

  async function passOverAll(): Promise<void> {
    areOthersBusy = false
    const now = clock.now()
    const refresh = now.getTime() - refreshedAt >= REFRESH_MS
    refreshedAt = refresh ? now.getTime() : refreshedAt
    for (const server of await servers.findServersWithToken(db.kysely)) {
      if (loop.isClosed()) return
      if (!(await address.holds(server)) || !isReady(server, now)) continue
      if (!refresh && !(await hasWork(db.kysely, server.id, now))) continue
      const outcome = await leases.hold(server.id, () => passOver(server.id, { refresh }))
      if (outcome !== 'done') areOthersBusy = true
    }
  }

  async function passOver(serverId: string, options: { refresh: boolean }): Promise<'done' | 'lost'> {
    try {
      await assign(serverId, options)
    } catch (error) {
      if (error instanceof LostWork) return 'lost'
      if (!(error instanceof NotNow))
        log.error({ event: 'ade.reconcile_failed', ade_server_id: serverId, err: error }, 'assigning failed')
    }
    return 'done'
  }

  return {
    run: loop.run,
    /** Soon looks for what is to be done. */
    wake: loop.wake,
    /** A policy may have changed. */
    policyChanged(): void {
      refreshedAt = -Infinity
      loop.wake()
    },
    /** Begins nothing more and waits for the call under way. */
    async close(): Promise<void> {
      await loop.close()
      await address.leave().catch(() => undefined)
    },
  }
}

function isReady(server: servers.ServerRow, now: Date): boolean {
  if (server.stopped_reason !== null) return false
  return [server.paused_until, server.calls_retry_at].every((until) => until === null || until <= now)
}
