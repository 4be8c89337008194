import { addTime } from '../../../kernel/clock.ts'
import { AdeError, type AdeClient, type AdeErrorKind } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import { pauseAfter, sleep } from '../pause.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import type { SyncRun } from './store.ts'
import type { Progress } from './verdict.ts'

const ACCOUNT_LIFE_DAYS = 1
/** Failures in a row after which a run is given up. */
const MAX_CALL_FAILURES = 6

const PASSING: readonly AdeErrorKind[] = ['throttled', 'unavailable', 'malformed_answer']
const STOPPING: readonly AdeErrorKind[] = ['token_rejected', 'terms_not_signed', 'access_denied']

type Work<T> = (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>

/** What a run asks Apple, within its time. */
export function createSyncCalls({ db, clock, apple, log }: AdeDeps & { apple: Apple }) {
  function call<T>(run: SyncRun, signal: AbortSignal, work: Work<T>): Promise<T> {
    const timeoutMs = run.ends_by.getTime() - clock.now().getTime()
    return apple.call(run.ade_server_id, work, { timeoutMs, signal })
  }

  function warn(run: SyncRun, error: AdeError): void {
    const about = { ade_server_id: run.ade_server_id, sync_id: run.id, reason: error.kind }
    const text = `Apple does not answer a sync as it should; it is tried again for a while: ${error.message}`
    log.warn({ event: 'ade_sync.retrying', ...about }, text)
  }

  return {
    /** Calls Apple, again after a pause when that may help, as long as the time of the run allows it. */
    async patiently<T>(run: SyncRun, signal: AbortSignal, progress: Progress, work: Work<T>): Promise<T> {
      for (let failures = 1; ; failures += 1) {
        signal.throwIfAborted()
        try {
          return await call(run, signal, work)
        } catch (error) {
          const mayPass = error instanceof AdeError && PASSING.includes(error.kind) && !signal.aborted
          if (!mayPass || failures === MAX_CALL_FAILURES) throw error
          const wait = pauseAfter(failures, error.retryAfterMs)
          if (clock.now().getTime() + wait >= run.ends_by.getTime()) throw error
          if (!progress.isTold) warn(run, error)
          progress.isTold = true
          await sleep(clock, wait, signal)
        }
      }
    },
    /** Notes what Apple says of the account and its limits, once a day. */
    async readAccount(run: SyncRun, signal: AbortSignal): Promise<void> {
      const now = clock.now()
      const server = await servers.findServer(db.kysely, run.ade_server_id)
      if (server === undefined) return
      const readAt = server.account_read_at
      if (readAt !== null && addTime(readAt, ACCOUNT_LIFE_DAYS, 'day') > now) return
      const account = await call(run, signal, (client, options) => client.account(options)).catch(passOver)
      if (account === undefined) return
      const limit = (path: string) => account.limits.get(path)?.maximum ?? account.limits.get(path)?.default
      await servers.noteServer(db.kysely, server.id, {
        server_uuid: account.serverUuid ?? server.server_uuid,
        server_name: account.serverName ?? server.server_name,
        org_name: account.orgName ?? server.org_name,
        org_id: account.orgId ?? server.org_id,
        fetch_limit: limit('/server/devices') ?? null,
        sync_limit: limit('/devices/sync') ?? null,
        account_read_at: now,
      })
    },
  }
}

/** What Apple says of the account is advice: only what will stop the rest too may stop a sync. */
function passOver(error: unknown): undefined {
  if (!(error instanceof AdeError) || STOPPING.includes(error.kind)) throw error
}
