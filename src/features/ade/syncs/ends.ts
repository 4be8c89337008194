import type { Tx } from '../../../db/index.ts'
import type { AdeDeps } from '../deps.ts'
import * as store from './store.ts'

/** Ends runs and tells of it. */
export type Ends = ReturnType<typeof createEnds>

/** Ends of runs, each written and told once, whoever else ends the run at the same time. */
export function createEnds({ clock, events }: Pick<AdeDeps, 'clock' | 'events'>) {
  async function end(
    trx: Tx,
    run: store.SyncRun,
    how: { state: 'succeeded' | 'failed' | 'timed_out'; code?: string; message?: string },
    told: { drifted?: number } = {},
  ): Promise<void> {
    const now = clock.now()
    const ended = await store.endRun(trx, run.id, {
      state: how.state,
      finished_at: now,
      error: how.message ?? null,
      error_code: how.code ?? null,
    })
    if (ended === undefined) return
    const { ade_server_id, id: sync_id, kind, trigger, seen, added, changed, removed, left_out } = ended
    await events.emit(trx, {
      type: `ade_sync.${how.state}`,
      ...(how.code !== undefined && { reason: how.code }),
      duration_ms: now.getTime() - ended.started_at.getTime(),
      data: {
        ade_server_id,
        sync_id,
        kind,
        trigger,
        seen,
        added,
        changed,
        removed,
        ...(left_out > 0 && { left_out }),
        ...(how.message !== undefined && { error: how.message }),
        ...told,
      },
    })
  }

  function timeOut(trx: Tx, run: store.SyncRun): Promise<void> {
    const message = 'It did not end within 10 minutes; the next one goes on from where it came to.'
    return end(trx, run, { state: 'timed_out', code: 'timed_out', message })
  }

  return {
    timeOut,
    succeed: (trx: Tx, run: store.SyncRun, told: { drifted: number }) =>
      end(trx, run, { state: 'succeeded' }, told),
    fail: (trx: Tx, run: store.SyncRun, error: { code: string; message: string }) =>
      end(trx, run, { state: 'failed', ...error }),
    /** Ends what should have ended by now: of one server, or of all. */
    async expire(trx: Tx, serverId?: string): Promise<void> {
      for (const run of await store.findOverdue(trx, clock.now(), serverId)) await timeOut(trx, run)
    },
  }
}
