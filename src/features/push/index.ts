import { afterCommit, type Tx } from '../../db/index.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { createCertificateRequests } from './certificate-requests.ts'
import { createPushCertificates } from './certificates.ts'
import { sweepExpiry } from './expiry.ts'
import { createLoop } from './loop.ts'
import { ask, pushNow, type PushNowResult } from './push-now.ts'
import { spread, writeNeeds } from './requests.ts'
import { createSender, type SenderDeps } from './sender.ts'
import { deleteNeeds, findSendingState } from './store.ts'
import { createTopics, type PushService } from './topics.ts'

export { pushCertificatesApi } from './api.ts'
export { NO_PUSH_DATA } from './push-now.ts'
export type { PushCertificate } from './store.ts'

/** Devices woken per second by one large request; what comes then is as many polls a second. */
const WAKE_PER_SECOND = 500

/** What pushing is made of. `wakePerSecond` paces large requests; `random` gives numbers from 0 to 1. */
interface PushDeps extends Omit<SenderDeps, 'topics' | 'random'> {
  box: SecretBox
  service: PushService
  wakePerSecond?: number
  random?: () => number
}

/** Waking devices through Apple, and the certificates for that. */
export type Push = ReturnType<typeof createPush>

/** The door of the slice; `close` is called before the database is closed. */
export function createPush(deps: PushDeps) {
  const { clock, wakePerSecond = WAKE_PER_SECOND, random = Math.random } = deps
  const topics = createTopics(deps)
  const sender = createSender({ ...deps, topics, random })
  const loop = createLoop({ ...deps, topics, sender })
  const certificates = createPushCertificates({ ...deps, onStored: loop.wake })
  const requests = createCertificateRequests({ ...deps, certificates })

  /**
   * Asks with `trx` to wake enrollments, now or at `dueAt`; one push per enrollment however often it is asked. Those
   * without a valid token are passed over when their time comes. `among`: these are some of so many that are woken together.
   */
  async function request(
    trx: Tx,
    ids: readonly string[],
    { dueAt, among = 0 }: { dueAt?: Date; among?: number } = {},
  ): Promise<void> {
    const unique = [...new Set(ids)]
    if (unique.length === 0) return
    const now = clock.now()
    const times = spread(unique, { dueAt: dueAt ?? now, among, perSecond: wakePerSecond, random })
    await writeNeeds(trx, times, now)
    afterCommit(trx, loop.wake)
  }

  return {
    /** When the certificates in use expire. */
    expiries: async () => (await findSendingState(deps.db.kysely)).map(({ not_after: at }) => at),
    certificates,
    requests,
    request,
    /** Looks soon for needs that were written by someone else. */
    wake: loop.wake,
    /** Forgets what was to be pushed to enrollments that are gone or begin anew. */
    forget: (trx: Tx, ids: readonly string[]): Promise<void> => deleteNeeds(trx, ids),
    /** See `pushNow`. */
    pushNow: (ids: readonly string[]): Promise<Map<string, PushNowResult>> =>
      pushNow({ ...deps, sender }, ids),
    /** See `ask`. */
    ask: (id: string): Promise<void> => ask({ ...deps, sender }, id),
    /** A background job: sends what is due, and ends when that is done. */
    run: loop.run,
    /** A background job: see `sweepExpiry`. */
    sweepExpiry: (): Promise<void> => sweepExpiry(deps),
    /** Sends nothing more; resolves when what is under way is written down and the connections are closed. */
    async close(): Promise<void> {
      await loop.close()
      await topics.close()
    },
  }
}
