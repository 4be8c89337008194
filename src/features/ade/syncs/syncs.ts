import { afterCommit, createLeases, leaseEnd, type Tx } from '../../../db/index.ts'
import { actOfServer, type Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import type { AdeDeps } from '../deps.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import { noServer } from '../servers/tokens.ts'
import { createEnds } from './ends.ts'
import { endsBy, kindOf, nextScheduled } from './plan.ts'
import { createRunner } from './runner.ts'
import * as store from './store.ts'

const OTHER_SERVER = {
  code: 'token_of_another_server',
  message: "The token was exchanged for one of another of Apple's servers.",
}

/** Of a server whose account and serial numbers have never been asked for. */
const NOTHING_KNOWN = {
  cursor: null,
  cursor_is_complete: false,
  full_sync_mark: null,
  last_full_sync_started_at: null,
  server_uuid: null,
  server_name: null,
  fetch_limit: null,
  sync_limit: null,
}

/** Syncs of the serial numbers with Apple. */
export type Syncs = ReturnType<typeof createSyncs>

/** `worker` names this process; `onChanged` is called after a commit that leaves something to be assigned. */
export function createSyncs(deps: AdeDeps & { apple: Apple; worker: string; onChanged: () => void }) {
  const { db, clock, events, log } = deps
  const ends = createEnds(deps)
  const runner = createRunner({
    ...deps,
    ends,
    leases: createLeases(deps, { table: 'ade_syncs', worker: deps.worker }),
  })

  /** Starts a sync in the transaction that has locked its server; work begins after the commit. */
  async function start(
    trx: Tx,
    server: servers.ServerRow,
    trigger: store.SyncRun['trigger'],
    act: Act,
  ): Promise<store.SyncRun> {
    const now = clock.now()
    await ends.expire(trx, server.id)
    const kind = kindOf(server, now)
    const id = newId(now)
    const run = await store.insertRun(trx, {
      id,
      ade_server_id: server.id,
      kind,
      state: 'running',
      trigger,
      started_at: now,
      ends_by: endsBy(now),
      worker: deps.worker,
      worker_until: leaseEnd(now),
    })
    if (run === undefined) throw new AppError('sync_running')
    const isNewFull = kind === 'full' && server.full_sync_mark === null
    await servers.noteServer(trx, server.id, {
      next_scheduled_sync_at: nextScheduled(now),
      ...(isNewFull && { cursor: null, cursor_is_complete: false, full_sync_mark: id }),
    })
    await events.emit(trx, {
      type: 'ade_sync.started',
      act,
      data: { ade_server_id: server.id, sync_id: id, kind, trigger },
    })
    afterCommit(trx, () => runner.start(run))
    return run
  }

  async function startScheduled(): Promise<void> {
    const now = clock.now()
    for (const { id } of await servers.findServersWithToken(db.kysely)) {
      await db.transaction(async (trx) => {
        const server = await servers.lockServer(trx, id)
        if (server === undefined || !isDue(server, now)) return
        if ((await store.findRunning(trx, id)) !== undefined) return
        await start(trx, server, 'schedule', actOfServer())
      })
    }
  }

  return {
    start,
    /** Starts a sync because someone asked. Refuses `not_found`, `conflict` without a token, `sync_running`. */
    startByHand(serverId: string, act: Act): Promise<store.SyncRun> {
      return db.transaction(async (trx) => {
        const server = await servers.lockServer(trx, serverId)
        if (server === undefined) throw noServer()
        if (server.token === null)
          throw new AppError('conflict', 'The ADE server has no token yet: upload one first.')
        return start(trx, server, 'operator', act)
      })
    },
    /** Ends the running sync of a server, whose token was exchanged for another server's, and forgets the cursor. */
    async reset(trx: Tx, serverId: string): Promise<void> {
      const running = await store.findRunning(trx, serverId)
      if (running !== undefined) await ends.fail(trx, running, OTHER_SERVER)
      await servers.noteServer(trx, serverId, NOTHING_KNOWN)
    },
    /** A background job: ends runs whose time is over, takes over those of dead processes, starts what is due. */
    async run(): Promise<void> {
      const now = clock.now()
      await db.transaction((trx) => ends.expire(trx))
      const adopted = await store.adoptRuns(db.kysely, { worker: deps.worker, now, until: leaseEnd(now) })
      for (const run of adopted) {
        log.info({ event: 'ade_sync.adopted', sync_id: run.id }, 'a sync of another process goes on here')
        runner.start(run)
      }
      await startScheduled()
    },
    /** Waits until nothing runs in this process. */
    idle: runner.idle,
    /** Hands over what runs here. */
    close: runner.close,
  }
}

function isDue(server: servers.ServerRow, now: Date): boolean {
  const { token, stopped_reason: stopped, next_scheduled_sync_at: due, paused_until: pause } = server
  if (token === null || stopped !== null || (pause !== null && pause > now)) return false
  return due === null || due <= now
}
