import { AdeError, type AdeClient, type AdeErrorKind, type DevicePage } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import { createSyncCalls } from './calls.ts'
import type { Commits } from './commits.ts'
import { createPageWrites } from './page-writes.ts'
import { fromTheBeginning } from './plan.ts'
import type { Ends } from './ends.ts'
import type { SyncRun } from './store.ts'
import { judgePage, noProgress, type Progress } from './verdict.ts'

const MAX_PAGE_SIZE = 1_000
/** How often a run may begin anew because Apple refuses a cursor. */
const MAX_RESTARTS = 2

const REFUSED_CURSOR: readonly AdeErrorKind[] = ['cursor_expired', 'cursor_invalid', 'cursor_required']

/** Brings a run to its end, page by page; rejects with what keeps it from that. */
export function createSyncer(
  deps: AdeDeps & { apple: Apple; commits: Commits; ends: Ends; onChanged: () => void },
) {
  const { db, clock, commits } = deps
  const calls = createSyncCalls(deps)
  const writes = createPageWrites(deps)

  async function nextPage(
    run: SyncRun,
    { cursor, cursor_is_complete: isComplete, ...server }: servers.ServerRow,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<{ page: DevicePage; asOf: Date }> {
    let asOf = clock.now()
    const page = await calls.patiently(run, signal, progress, (client, options) => {
      asOf = clock.now()
      return isComplete && cursor !== null
        ? client.syncDevices({ cursor, limit: sizeOf(server.sync_limit) }, options)
        : fetchDevices(client, cursor, sizeOf(server.fetch_limit), options)
    })
    return { page, asOf }
  }

  /** What becomes of a run whose cursor Apple refuses: true when that was its end. */
  async function heedCursor(
    run: SyncRun,
    server: servers.ServerRow,
    error: unknown,
    progress: Progress,
  ): Promise<boolean> {
    if (!(error instanceof AdeError)) throw error
    if (error.kind === 'cursor_exhausted') {
      if (server.cursor_is_complete) return true
      await commits.moveOn(run, { cursor_is_complete: true })
      return false
    }
    const canRestart = REFUSED_CURSOR.includes(error.kind) && progress.restarts < MAX_RESTARTS
    if (!canRestart) throw error
    progress.restarts += 1
    progress.cursors.clear()
    await commits.moveOn(run, fromTheBeginning(clock.now()), { isFull: true })
    return false
  }

  /** One page; true when it was the last. */
  async function step(
    run: SyncRun,
    server: servers.ServerRow,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<boolean> {
    let got: { page: DevicePage; asOf: Date }
    try {
      got = await nextPage(run, server, signal, progress)
    } catch (error) {
      return heedCursor(run, server, error, progress)
    }
    const verdict = judgePage(got.page, server.cursor, progress)
    await writes.write(run, server, got, verdict)
    if (verdict.failure !== undefined) throw verdict.failure
    return !verdict.isMore
  }

  return async function sync(run: SyncRun, signal: AbortSignal): Promise<void> {
    const progress = noProgress()
    await calls.readAccount(run, signal)
    for (;;) {
      const server = await servers.findServer(db.kysely, run.ade_server_id)
      if (server === undefined) return
      if (await step(run, server, signal, progress)) return writes.finish(run)
    }
  }
}

function fetchDevices(
  client: AdeClient,
  cursor: string | null,
  limit: number,
  options: { signal: AbortSignal },
): Promise<DevicePage> {
  return client.fetchDevices({ ...(cursor !== null && { cursor }), limit }, options)
}

function sizeOf(limit: number | null): number {
  return Math.min(Math.max(limit ?? MAX_PAGE_SIZE, 1), MAX_PAGE_SIZE)
}
