import type { Leases } from '../../../db/index.ts'
import type { AdeDeps } from '../deps.ts'
import { AppError } from '../../../kernel/errors.ts'
import { AdeError } from '../../../protocol/ade/index.ts'
import type { Apple } from '../servers/apple.ts'
import type { Ends } from './ends.ts'
import { createPageLoop, LostRun } from './page-loop.ts'
import type { SyncRun } from './store.ts'
import { SyncFailure } from './verdict.ts'

/** What a run is told when this process stops. */
const CLOSING = Symbol('closing')

/** Works on runs in the background. */
export function createRunner(
  deps: AdeDeps & { apple: Apple; leases: Leases<'ade_syncs'>; ends: Ends; onChanged: () => void },
) {
  const { db, clock, log, ends, leases } = deps
  const loop = createPageLoop(deps)
  const running = new Map<string, { promise: Promise<void>; stop: AbortController }>()

  async function run(sync: SyncRun, stop: AbortController): Promise<void> {
    const left = sync.ends_by.getTime() - clock.now().getTime()
    const undo = clock.after(Math.max(left, 0), () => stop.abort())
    const letGo = leases.keep(sync.id)
    try {
      await loop(sync, stop.signal)
    } catch (error) {
      await endWith(sync, stop.signal, error)
    } finally {
      undo()
      letGo()
    }
  }

  async function endWith(sync: SyncRun, signal: AbortSignal, error: unknown): Promise<void> {
    if (signal.aborted && signal.reason === CLOSING) {
      // Another process, or the next start, goes on at once.
      return leases.release(sync.id)
    }
    await db.transaction(async (trx) => {
      if (!(await leases.holds(trx, sync.id))) return
      if (signal.aborted || error instanceof LostRun) await ends.timeOut(trx, sync)
      else await ends.fail(trx, sync, describe(error))
    })
    const isUnderstood = [AppError, SyncFailure, LostRun].some((kind) => error instanceof kind)
    if (!isUnderstood && !signal.aborted) throw error
  }

  return {
    /** Begins to work on a run; it goes on by itself. */
    work(sync: SyncRun): void {
      if (running.has(sync.id)) return
      const stop = new AbortController()
      const promise = run(sync, stop)
        .catch((error: unknown) => {
          log.error({ event: 'ade_sync.broken', sync_id: sync.id, err: error }, 'a sync has broken down')
        })
        .finally(() => running.delete(sync.id))
      running.set(sync.id, { promise, stop })
    },
    /** Waits until nothing runs here. */
    async idle(): Promise<void> {
      while (running.size > 0) await Promise.all([...running.values()].map(({ promise }) => promise))
    },
    /** Stops what runs here and hands it over. */
    async close(): Promise<void> {
      for (const { stop } of running.values()) stop.abort(CLOSING)
      await this.idle()
    },
  }
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof SyncFailure) return { code: error.code, message: error.message }
  if (error instanceof AdeError) return { code: error.kind, message: error.message }
  if (error instanceof AppError) return { code: error.code, message: error.message }
  return { code: 'internal', message: 'Something went wrong inside the server; its log says what.' }
}
