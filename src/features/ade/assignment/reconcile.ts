import type { AdeDeps } from '../deps.ts'
import { beat, lifeEnd } from '../heartbeat.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import { createAddress } from './address.ts'
import { LostWork, NotNow } from './calls.ts'
import { createPass } from './pass.ts'
import { hasWork } from './store.ts'

/** Changes of the same moment are taken together. */
const DEBOUNCE_MS = 10
/** How soon it is tried again when another process is at work. */
const BUSY_MS = 1_000
/** How often policies are looked at without being told that one has changed. */
const REFRESH_MS = 60_000

/** Makes what brings what Apple has to what is wanted, for all servers. There is one pass at a time in a process, and one process at a time for a server. */
export function createReconciler(deps: AdeDeps & { apple: Apple; worker: string }) {
  const { db, clock, log, worker } = deps
  const pass = createPass({ ...deps, isClosing: () => isClosed })
  const address = createAddress(deps)
  let running: Promise<void> | undefined
  let isAgain = false
  let isWoken = false
  let isClosed = false
  let refreshedAt = -Infinity

  /** False when another process is at work on a server. */
  async function passOver(serverId: string, options: { refresh: boolean }): Promise<boolean> {
    const now = clock.now()
    const server = await servers.takeWork(db.kysely, { id: serverId, worker, now, until: lifeEnd(now) })
    if (server === undefined) return false
    const endBeats = beat(deps, (until) =>
      servers.takeWork(db.kysely, { id: serverId, worker, now: clock.now(), until }),
    )
    try {
      await pass(serverId, options)
    } catch (error) {
      if (error instanceof LostWork) return false
      if (error instanceof NotNow) return true
      log.error({ event: 'ade.reconcile_failed', ade_server_id: serverId, err: error }, 'assigning failed')
    } finally {
      endBeats()
      await servers.leaveWork(db.kysely, serverId, worker)
    }
    return true
  }

  async function passes(): Promise<void> {
    let areOthersBusy = false
    do {
      isAgain = false
      const now = clock.now()
      const refresh = now.getTime() - refreshedAt >= REFRESH_MS
      refreshedAt = refresh ? now.getTime() : refreshedAt
      for (const server of await servers.findServersWithToken(db.kysely)) {
        if (isClosed) return
        if (!(await address.holds(server)) || !isReady(server, now)) continue
        if (!refresh && !(await hasWork(db.kysely, server.id, now))) continue
        if (!(await passOver(server.id, { refresh }))) areOthersBusy = true
      }
    } while (isAgain && !isClosed)
    if (areOthersBusy) clock.after(BUSY_MS, wake)
  }

  function run(): Promise<void> {
    isAgain = true
    running ??= passes().finally(() => (running = undefined))
    return running
  }

  /** Soon looks for what is to be done. */
  function wake(): void {
    if (isWoken || isClosed) return
    isWoken = true
    clock.after(DEBOUNCE_MS, () => {
      isWoken = false
      run().catch((error: unknown) => {
        log.error({ event: 'ade.reconcile_failed', err: error }, 'what is to be assigned could not be read')
      })
    })
  }

  return {
    run,
    wake,
    /** A policy may have changed. */
    policyChanged(): void {
      refreshedAt = -Infinity
      wake()
    },
    /** Begins nothing more and waits for the call under way. */
    async close(): Promise<void> {
      isClosed = true
      await running?.catch(() => undefined)
      await address.leave().catch(() => undefined)
    },
  }
}

function isReady(server: servers.ServerRow, now: Date): boolean {
  if (server.stopped_reason !== null) return false
  return [server.paused_until, server.calls_retry_at].every((until) => until === null || until <= now)
}
