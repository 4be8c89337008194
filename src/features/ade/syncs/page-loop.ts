import { afterCommit } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/ids.ts'
import { AdeError, type AdeClient, type AdeErrorKind, type DevicePage } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import { newestRecords } from '../pages/newest.ts'
import * as pages from '../pages/store.ts'
import { pauseAfter, sleep } from '../pause.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import { createCommits } from './commits.ts'
import type { Ends } from './ends.ts'
import * as store from './store.ts'

const ACCOUNT_LIFE_DAYS = 1
const MAX_PAGE = 1_000
/** Failures in a row after which a run is given up. */
const MAX_FAILURES = 6
/** Pages in a row that bring nothing although more is to follow. */
const MAX_EMPTY_PAGES = 20
/** How often a run may begin anew because Apple refuses a cursor. */
const MAX_RESTARTS = 2

const REFUSED_CURSOR: readonly AdeErrorKind[] = ['cursor_expired', 'cursor_invalid', 'cursor_required']
const PASSING: readonly AdeErrorKind[] = ['throttled', 'unavailable', 'malformed_answer']

export { LostRun } from './commits.ts'

/** Why a run cannot go on, in a word and a sentence. */
export class SyncFailure extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'SyncFailure'
    this.code = code
  }
}

/** What a run remembers of its pages; a cycle of cursors must not keep it for ever. */
interface Progress {
  cursors: Set<string>
  emptyPages: number
  restarts: number
}

/** Makes the loop that brings a run to its end, page by page. */
export function createPageLoop(
  deps: AdeDeps & { apple: Apple; worker: string; ends: Ends; onChanged: () => void },
) {
  const { db, clock, apple } = deps
  const commits = createCommits(deps)

  /** Calls Apple, again after a pause when that may help, as long as the time of the run allows it. */
  async function patiently<T>(
    run: store.SyncRun,
    signal: AbortSignal,
    work: (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      signal.throwIfAborted()
      try {
        const timeoutMs = run.ends_by.getTime() - clock.now().getTime()
        return await apple.call(run.ade_server_id, work, { timeoutMs, signal })
      } catch (error) {
        const mayPass = error instanceof AdeError && PASSING.includes(error.kind) && !signal.aborted
        if (!mayPass || failures === MAX_FAILURES) throw error
        const wait = pauseAfter(failures, error.retryAfterMs)
        if (clock.now().getTime() + wait >= run.ends_by.getTime()) throw error
        await sleep(clock, wait, signal)
      }
    }
  }

  async function readAccount(run: store.SyncRun, server: servers.ServerRow, signal: AbortSignal) {
    const now = clock.now()
    const isFresh =
      server.account_read_at !== null && addTime(server.account_read_at, ACCOUNT_LIFE_DAYS, 'day') > now
    if (isFresh) return
    const account = await patiently(run, signal, (client, options) => client.account(options)).catch(passOver)
    if (account === undefined) return servers.noteServer(db.kysely, server.id, { account_read_at: now })
    const limit = (path: string) => account.limits.get(path)?.maximum ?? account.limits.get(path)?.default
    await servers.noteServer(db.kysely, server.id, {
      ...{ server_uuid: account.serverUuid, server_name: account.serverName, account_read_at: now },
      ...{ org_name: account.orgName ?? null, org_id: account.orgId ?? null },
      fetch_limit: limit('/server/devices') ?? null,
      sync_limit: limit('/devices/sync') ?? null,
    })
  }

  async function nextPage(
    run: store.SyncRun,
    server: servers.ServerRow,
    signal: AbortSignal,
  ): Promise<{ page: DevicePage; asOf: Date }> {
    const { cursor, cursor_is_complete: isComplete } = server
    let asOf = clock.now()
    const page = await patiently(run, signal, (client, options) => {
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
    await commits.moveOn(
      run,
      { cursor: null, cursor_is_complete: false, full_sync_mark: newId(clock.now()) },
      { isFull: true },
    )
    return false
  }

  return async function loop(run: store.SyncRun, signal: AbortSignal): Promise<void> {
    const progress: Progress = { cursors: new Set(), emptyPages: 0, restarts: 0 }
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
      got = await nextPage(run, server, signal)
    } catch (error) {
      return heedCursor(run, server, error, progress)
    }
    const { page, asOf } = got
    refuseCircles(page, server, progress)
    await commits.write(run, async (trx, present) => {
      const counts = await pages.writePage(trx, newestRecords(page.devices), {
        ...{ serverId: present.id, asOf, now: clock.now(), mark: present.full_sync_mark },
        defaultPolicyId: present.default_policy_id,
      })
      await store.addCounts(trx, run.id, counts)
      if (counts.policySet > 0) afterCommit(trx, deps.onChanged)
      const isFetched = !server.cursor_is_complete && !page.moreToFollow
      return { cursor: page.cursor, ...(isFetched && { cursor_is_complete: true }) }
    })
    return !page.moreToFollow
  }

  async function finish(run: store.SyncRun): Promise<void> {
    const now = clock.now()
    await commits.write(run, async (trx, server) => {
      const { id: serverId, full_sync_mark: mark } = server
      const gone =
        mark === null
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
    trx: Parameters<typeof deps.events.emit>[0],
    type: 'ade_device.removed' | 'ade_device.drifted',
    serverId: string,
    found: { count: number; serials: string[] },
  ): Promise<void> {
    if (found.count === 0) return
    const data = { ade_server_id: serverId, count: found.count, serial_numbers: found.serials }
    await deps.events.emit(trx, { type, reason: 'sync', data })
  }
}

/** What Apple says of the account is advice; a service that does not know the call is still a service. */
function passOver(error: unknown): undefined {
  if (!(error instanceof AdeError && error.kind === 'invalid')) throw error
}

function sizeOf(limit: number | null): number {
  return Math.min(Math.max(limit ?? MAX_PAGE, 1), MAX_PAGE)
}

function refuseCircles(page: DevicePage, server: servers.ServerRow, progress: Progress): void {
  if (!page.moreToFollow) return
  if (page.cursor === server.cursor || progress.cursors.has(page.cursor)) {
    throw new SyncFailure(
      'repeated_cursor',
      'Apple says that more devices follow, but gives a cursor that it gave before.',
    )
  }
  progress.cursors.add(page.cursor)
  progress.emptyPages = page.devices.length === 0 ? progress.emptyPages + 1 : 0
  if (progress.emptyPages > MAX_EMPTY_PAGES) {
    throw new SyncFailure(
      'empty_pages',
      'Apple says again and again that more devices follow, and sends none.',
    )
  }
}
