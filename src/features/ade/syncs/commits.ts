import type { Leases, Tx } from '../../../db/index.ts'
import type { AdeDeps } from '../deps.ts'
import * as servers from '../servers/store.ts'
import * as store from './store.ts'

/** The run is no longer this process's: its time is over, or another one has taken it. */
export class LostRun extends Error {
  override readonly name = 'LostRun'
}

/** How a run writes. */
export type Commits = ReturnType<typeof createCommits>

/** Writes of a run: each in a transaction in which the run is still running, and this process's. */
export function createCommits(deps: Pick<AdeDeps, 'db' | 'clock'> & { leases: Leases<'ade_syncs'> }) {
  const { db, clock, leases } = deps

  /** Runs `work` and writes to the server what it returns. */
  async function write(
    run: store.SyncRun,
    work: (trx: Tx, server: servers.ServerRow) => Promise<servers.ServerChange>,
  ): Promise<void> {
    await db.transaction(async (trx) => {
      const server = await servers.lockServer(trx, run.ade_server_id)
      // A run that has ended is nobody's.
      const isHeld = await leases.holds(trx, run.id)
      if (server === undefined || !isHeld || run.ends_by <= clock.now()) throw new LostRun()
      const columns = await work(trx, server)
      if (Object.keys(columns).length > 0) await servers.noteServer(trx, server.id, columns)
    })
  }

  return {
    write,
    /** Goes on from somewhere else. */
    moveOn: (run: store.SyncRun, columns: servers.ServerChange, options: { isFull?: boolean } = {}) =>
      write(run, async (trx) => {
        if (options.isFull === true) await store.makeFull(trx, run.id)
        return columns
      }),
  }
}
