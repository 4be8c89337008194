import { nextFullSyncAt } from './plan.ts'
import type { ServerRow } from '../servers/store.ts'
import type { SyncRun } from './store.ts'

/** Whether a run is really running: its time is not over, whether or not somebody has noted that it is. */
function isRunning(run: SyncRun | undefined, now: Date): boolean {
  return run?.state === 'running' && run.ends_by > now
}

/** A run as the API tells it. */
export function showRun(run: SyncRun, now: Date) {
  const isOver = run.state === 'running' && !isRunning(run, now)
  const { id, kind, trigger, seen, added, changed, removed, left_out, error, error_code } = run
  const finishedAt = isOver ? run.ends_by : run.finished_at
  return {
    id,
    kind,
    state: isOver ? ('timed_out' as const) : run.state,
    trigger,
    started_at: run.started_at.toISOString(),
    ends_by: run.ends_by.toISOString(),
    finished_at: finishedAt?.toISOString() ?? null,
    seen,
    added,
    changed,
    removed,
    left_out,
    error,
    error_code,
    created_at: run.started_at.toISOString(),
    updated_at: (finishedAt ?? run.started_at).toISOString(),
  }
}

/** Where the syncs of a server stand. */
export function showSyncs(server: ServerRow, last: SyncRun | undefined, now: Date) {
  const running = isRunning(last, now)
  return {
    can_start: server.token !== null && !running,
    running,
    run_ends_by: running ? (last?.ends_by.toISOString() ?? null) : null,
    next_full_sync_at: nextFullSyncAt(server)?.toISOString() ?? null,
    next_scheduled_sync_at:
      server.token === null || server.stopped_reason !== null
        ? null
        : (server.next_scheduled_sync_at?.toISOString() ?? null),
    last: last === undefined ? null : showRun(last, now),
  }
}
