import type { Leases, Tx } from '../../../db/index.ts'
import { AdeError, type AdeClient, type AdeErrorKind } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import { pauseAfter } from '../pause.ts'
import type { Apple } from '../servers/apple.ts'
import * as servers from '../servers/store.ts'
import * as store from './store.ts'

/** Serial numbers in one call; Apple takes no more (`AdeClient`). */
export const SERIALS_PER_CALL = 1000

/** Apple may or may not have done what it was asked. */
const UNCLEAR: readonly AdeErrorKind[] = ['unavailable', 'malformed_answer']

/** Apple has answered, but not with what was asked for. */
const USELESS: readonly AdeErrorKind[] = ['malformed_answer', 'invalid']
/** Failures in a row after which a question that Apple cannot answer is given up. */
const MAX_USELESS = 5

/** Another process has the work of the server. */
export class LostWork extends Error {
  override readonly name = 'LostWork'
}

/** Nothing can be changed at Apple for the moment; what is to be done stays in the database. */
export class NotNow extends Error {
  override readonly name = 'NotNow'
}

/** Changes at Apple that are written down before and after. */
export type Calls = ReturnType<typeof createCalls>

/** Calls under the leases of servers; they throw `LostWork` without one, and `NotNow` when Apple has to be left alone. */
export function createCalls(
  deps: Pick<AdeDeps, 'db' | 'clock' | 'log'> & { apple: Apple; leases: Leases<'ade_servers'> },
) {
  const { db, clock, log, apple, leases } = deps

  /** A transaction in which the work is surely this process's. */
  function commit<T>(serverId: string, work: (trx: Tx) => Promise<T>): Promise<T> {
    return db.transaction(async (trx) => {
      if (!(await leases.holds(trx, serverId))) throw new LostWork()
      return work(trx)
    })
  }

  /** Puts the server off after a failure that may pass. */
  async function putOff(serverId: string, error: AdeError): Promise<never> {
    const server = await servers.findServer(db.kysely, serverId)
    const failures = (server?.failed_calls ?? 0) + 1
    const retryAt = new Date(clock.now().getTime() + pauseAfter(failures, error.retryAfterMs))
    await servers.noteServer(db.kysely, serverId, { failed_calls: failures, calls_retry_at: retryAt })
    // Once for a time in which Apple cannot be reached, not at every try.
    log[failures === 1 ? 'warn' : 'debug'](
      { event: 'ade.put_off', ade_server_id: serverId, reason: error.kind, retry_at: retryAt },
      `What is to be changed at Apple has to wait, and is tried again by itself: ${error.message}`,
    )
    throw new NotNow()
  }

  /** Asks Apple something that changes nothing. Undefined: there is no use in asking any more. */
  async function ask<T>(
    serverId: string,
    work: (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await apple.call(serverId, work)
    } catch (error) {
      if (!(error instanceof AdeError) || error.kind === 'profile_unknown') throw error
      const server = await servers.findServer(db.kysely, serverId)
      const isUseless = USELESS.includes(error.kind) && (server?.failed_calls ?? 0) >= MAX_USELESS
      return isUseless ? undefined : putOff(serverId, error)
    }
  }

  return {
    ask,
    commit,
    /**
     * Changes something: `call` is written down, then `work` calls Apple, then `done` writes what came of it, or `refused`
     * why it was not done. When neither is known (or the process dies), the call stays for the recovery to find.
     */
    async change<T>(
      call: Omit<store.CallRow, 'profile' | 'started_at'> & { profile: object | null },
      steps: {
        work: (client: AdeClient, options: { signal: AbortSignal }) => Promise<T>
        done: (trx: Tx, result: T) => Promise<void>
        refused: (trx: Tx, error: AdeError) => Promise<void>
      },
    ): Promise<void> {
      const id = call.ade_server_id
      await commit(id, (trx) => store.insertCall(trx, { ...call, started_at: clock.now() }))
      let result: T
      try {
        result = await apple.call(id, steps.work)
      } catch (error) {
        if (!(error instanceof AdeError)) throw error
        if (UNCLEAR.includes(error.kind)) return putOff(id, error)
        const isRefused = error.kind === 'invalid' || error.kind === 'profile_unknown'
        await commit(id, async (trx) => {
          await store.deleteCall(trx, id)
          if (isRefused) await steps.refused(trx, error)
        })
        return isRefused ? undefined : putOff(id, error)
      }
      await commit(id, async (trx) => {
        await store.deleteCall(trx, id)
        await steps.done(trx, result)
        await servers.noteServer(trx, id, { failed_calls: 0, calls_retry_at: null })
      })
    },
  }
}
