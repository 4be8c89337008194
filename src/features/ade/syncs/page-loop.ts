import { afterCommit, type Leases, type Tx } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/ids.ts'
import { AdeError, type AdeClient, type AdeErrorKind, type DevicePage } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import { newestRecords } from './newest.ts'
import * as pages from './pages-store.ts'
import { pauseAfter, sleep } from '../pause.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import { createCommits } from './commits.ts'
import type { Ends } from './ends.ts'
import * as store from './store.ts'
import { judgePage, noProgress, type Progress } from './verdict.ts'

const ACCOUNT_LIFE_DAYS = 1
const MAX_PAGE = 1_000
/** Failures in a row after which a run is given up. */
const MAX_FAILURES = 6
/** How often a run may begin anew because Apple refuses a cursor. */
const MAX_RESTARTS = 2
/** Records that cannot be used of which an event tells more than that they came. */
const TOLD_RECORDS = 20

const REFUSED_CURSOR: readonly AdeErrorKind[] = ['cursor_expired', 'cursor_invalid', 'cursor_required']
const PASSING: readonly AdeErrorKind[] = ['throttled', 'unavailable', 'malformed_answer']
const STOPPING: readonly AdeErrorKind[] = ['token_rejected', 'terms_not_signed', 'access_denied']

export { LostRun } from './commits.ts'

/** Makes the loop that brings a run to its end, page by page. */
export function createPageLoop(
  deps: AdeDeps & { apple: Apple; leases: Leases<'ade_syncs'>; ends: Ends; onChanged: () => void },
) {
  const { db, clock, apple, log } = deps
  const commits = createCommits(deps)

  function call<T>(
    run: store.SyncRun,
    signal: AbortSignal,
    work: (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const timeoutMs = run.ends_by.getTime() - clock.now().getTime()
    return apple.call(run.ade_server_id, work, { timeoutMs, signal })
  }

  function warn(run: store.SyncRun, error: AdeError): void {
    const about = { ade_server_id: run.ade_server_id, sync_id: run.id, reason: error.kind }
    const text = `Apple does not answer a sync as it should; it is tried again for a while: ${error.message}`
    log.warn({ event: 'ade_sync.retrying', ...about }, text)
  }

  /** Calls Apple, again after a pause when that may help, as long as the time of the run allows it. */
  async function patiently<T>(
    run: store.SyncRun,
    signal: AbortSignal,
    progress: Progress,
    work: (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      signal.throwIfAborted()
      try {
        return await call(run, signal, work)
      } catch (error) {
        const mayPass = error instanceof AdeError && PASSING.includes(error.kind) && !signal.aborted
        if (!mayPass || failures === MAX_FAILURES) throw error
        const wait = pauseAfter(failures, error.retryAfterMs)
        if (clock.now().getTime() + wait >= run.ends_by.getTime()) throw error
        if (!progress.isTold) warn(run, error)
        progress.isTold = true
        await sleep(clock, wait, signal)
      }
    }
  }

  async function readAccount(run: store.SyncRun, server: servers.ServerRow, signal: AbortSignal) {
    const now = clock.now()
    const isFresh =
      server.account_read_at !== null && addTime(server.account_read_at, ACCOUNT_LIFE_DAYS, 'day') > now
    if (isFresh) return
    const account = await call(run, signal, (client, options) => client.account(options)).catch(passOver)
    if (account === undefined) return
    const limit = (path: string) => account.limits.get(path)?.maximum ?? account.limits.get(path)?.default
    await servers.noteServer(db.kysely, server.id, {
      server_uuid: account.serverUuid ?? server.server_uuid,
      server_name: account.serverName ?? server.server_name,
      org_name: account.orgName ?? server.org_name,
      org_id: account.orgId ?? server.org_id,
      ...{ fetch_limit: limit('/server/devices') ?? null, sync_limit: limit('/devices/sync') ?? null },
      account_read_at: now,
    })
  }

  async function nextPage(
    run: store.SyncRun,
    server: servers.ServerRow,
    signal: AbortSignal,
    progress: Progress,
  ): Promise<{ page: DevicePage; asOf: Date }> {
    const { cursor, cursor_is_complete: isComplete } = server
    let asOf = clock.now()
    const page = await patiently(run, signal, progress, (client, options) => {
      asOf = clock.now()
      if (isComplete && cursor !== null)
        return client.syncDevices({ cursor, limit: sizeOf(server.sync_limit) }, options)
      return client.fetchDevices(
        { ...(cursor !== null && { cursor }), limit: sizeOf(server.fetch_limit) },
        options,
      )
    })
    return { page, asOf }
  }

  /** What becomes of a run whose cursor Apple refuses: true when that was its end. */
  async function heedCursor(
    run: store.SyncRun,
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
    await commits.moveOn(run, fromTheBeginning(), { isFull: true })
    return false
  }

  /** All devices are fetched anew. */
  function fromTheBeginning() {
    return { cursor: null, cursor_is_complete: false, full_sync_mark: newId(clock.now()) }
  }

  return async function loop(run: store.SyncRun, signal: AbortSignal): Promise<void> {
    const progress = noProgress()
    for (let isFirst = true; ; isFirst = false) {
      const server = await servers.findServer(db.kysely, run.ade_server_id)
      if (server === undefined) return
      if (isFirst) {
        await readAccount(run, server, signal)
        continue
      }
      const isOver = await step(run, server, signal, progress)
      if (!isOver) continue
      return finish(run)
    }
  }

  /** One page; true when it was the last. */
  async function step(
    run: store.SyncRun,
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
    const { page, asOf } = got
    const { isMore, failure, isStuck = false } = judgePage(page, server.cursor, progress)
    await commits.write(run, async (trx, present) => {
      const counts = await pages.writePage(trx, newestRecords(page.devices, asOf), {
        ...{ serverId: present.id, asOf, now: clock.now(), mark: present.full_sync_mark },
        defaultPolicyId: present.default_policy_id,
      })
      await store.addCounts(trx, run.id, { ...counts, leftOut: page.leftOut.length })
      await tellLeftOut(trx, run, page)
      if (counts.policySet > 0) afterCommit(trx, deps.onChanged)
      if (isStuck) return server.cursor_is_complete ? {} : fromTheBeginning()
      const isFetched = !server.cursor_is_complete && !isMore && failure === undefined
      return {
        ...(page.cursor !== undefined && { cursor: page.cursor }),
        ...(isFetched && { cursor_is_complete: true }),
      }
    })
    if (failure !== undefined) throw failure
    return !isMore
  }

  async function tellLeftOut(trx: Tx, run: store.SyncRun, { leftOut }: DevicePage): Promise<void> {
    if (leftOut.length === 0) return
    await deps.events.emit(trx, {
      type: 'ade_sync.records_left_out',
      reason: 'no_serial_number',
      data: {
        ...{ ade_server_id: run.ade_server_id, sync_id: run.id, count: leftOut.length },
        records: leftOut.slice(0, TOLD_RECORDS),
      },
    })
  }

  async function finish(run: store.SyncRun): Promise<void> {
    const now = clock.now()
    await commits.write(run, async (trx, server) => {
      const { id: serverId, full_sync_mark: mark } = server
      // A record that could not be read may have been that of a device which would be taken for gone.
      const isWhole = mark !== null && (await store.leftOutSince(trx, run, mark)) === 0
      const gone = !isWhole
        ? { count: 0, serials: [] }
        : await pages.removeUnseen(trx, { serverId, mark, startedAt: run.started_at, now })
      await store.addCounts(trx, run.id, { removed: gone.count })
      const since = mark === null ? run.started_at : new Date(0)
      const drifted = await pages.takeDrifted(trx, { serverId, since, now })
      await tell(trx, 'ade_device.removed', serverId, gone)
      await tell(trx, 'ade_device.drifted', serverId, drifted)
      await deps.ends.succeed(trx, run, { drifted: drifted.count })
      afterCommit(trx, deps.onChanged)
      return mark === null ? {} : { full_sync_mark: null, last_full_sync_started_at: run.started_at }
    })
  }

  async function tell(
    trx: Tx,
    type: 'ade_device.removed' | 'ade_device.drifted',
    serverId: string,
    found: { count: number; serials: string[] },
  ): Promise<void> {
    if (found.count === 0) return
    const data = { ade_server_id: serverId, count: found.count, serial_numbers: found.serials }
    await deps.events.emit(trx, { type, reason: 'sync', data })
  }
}

/** What Apple says of the account is advice: only what will stop the rest too may stop a sync. */
function passOver(error: unknown): undefined {
  if (!(error instanceof AdeError) || STOPPING.includes(error.kind)) throw error
}

function sizeOf(limit: number | null): number {
  return Math.min(Math.max(limit ?? MAX_PAGE, 1), MAX_PAGE)
}
