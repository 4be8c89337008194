import type { Leases } from '../../../db/index.ts'
import type { AdeDeps } from '../deps.ts'
import { AppError } from '../../../kernel/errors.ts'
import { AdeError } from '../../../protocol/ade/index.ts'
import type { Apple } from '../servers/apple.ts'
import type { Ends } from './ends.ts'
import { createCommits, LostRun } from './commits.ts'
import type { SyncRun } from './store.ts'
import { createSyncer } from './syncer.ts'
import { SyncFailure } from './verdict.ts'

/** What a run is told when this process stops. */
const CLOSING = Symbol('closing')

/** Works on runs in the background. */
export function createRunner(
  deps: AdeDeps & { apple: Apple; leases: Leases<'ade_syncs'>; ends: Ends; onChanged: () => void },
) {
  const { db, clock, log, ends, leases } = deps
  const sync = createSyncer({ ...deps, commits: createCommits(deps) })
  const running = new Map<string, { promise: Promise<void>; stop: AbortController }>()

  async function work(run: SyncRun, stop: AbortController): Promise<void> {
    const left = run.ends_by.getTime() - clock.now().getTime()
    const undo = clock.after(Math.max(left, 0), () => stop.abort())
    const letGo = leases.keep(run.id)
    try {
      await sync(run, stop.signal)
    } catch (error) {
      await endWith(run, stop.signal, error)
    } finally {
      undo()
      letGo()
    }
  }

  async function endWith(run: SyncRun, signal: AbortSignal, error: unknown): Promise<void> {
    if (signal.aborted && signal.reason === CLOSING) {
      // Another process, or the next start, goes on at once.
      return leases.release(run.id)
    }
    await db.transaction(async (trx) => {
      if (!(await leases.holds(trx, run.id))) return
      if (signal.aborted || error instanceof LostRun) await ends.timeOut(trx, run)
      else await ends.fail(trx, run, describe(error))
    })
    const isUnderstood = [AppError, SyncFailure, LostRun].some((kind) => error instanceof kind)
    if (!isUnderstood && !signal.aborted) throw error
  }

  /** Waits until nothing runs here. */
  async function idle(): Promise<void> {
    while (running.size > 0) await Promise.all([...running.values()].map(({ promise }) => promise))
  }

  return {
    idle,
    /** Begins to work on a run; it goes on by itself. */
    start(run: SyncRun): void {
      if (running.has(run.id)) return
      const stop = new AbortController()
      const promise = work(run, stop)
        .catch((error: unknown) => {
          log.error({ event: 'ade_sync.broken', sync_id: run.id, err: error }, 'a sync has broken down')
        })
        .finally(() => running.delete(run.id))
      running.set(run.id, { promise, stop })
    },
    /** Stops what runs here and hands it over. */
    async close(): Promise<void> {
      for (const { stop } of running.values()) stop.abort(CLOSING)
      await idle()
    },
  }
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof SyncFailure) return { code: error.code, message: error.message }
  if (error instanceof AdeError) return { code: error.kind, message: error.message }
  if (error instanceof AppError) return { code: error.code, message: error.message }
  return { code: 'internal', message: 'Something went wrong inside the server; its log says what.' }
}
