import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { createApnsSession, type ApnsSession } from '../../protocol/apns/index.ts'
import { openKeyPair } from './key-pair.ts'
import * as store from './store.ts'

/** How often it is tried whether Apple takes a certificate again that it refused. */
const PROBE_EVERY_MS = 15 * 60_000
const REFRESH_EVERY_MS = 60_000

/** Where the push service is; `ca` = PEM of CAs to trust for it instead of the system's. */
export interface PushService {
  url: string
  ca?: string | undefined
}

/** What is known of a topic: whether pushes with it can pass, and if not, why. */
export interface Topic {
  topic: string
  version: number
  /** `missing`, `expired` or Apple's reason; null: pushes can be sent. */
  blocked: string | null
}

interface Known {
  version: number
  notAfter: Date
  rejectedReason: string | null
  probeAt: number
}

/** The topics as the database has them, and for each the one connection of this process. */
export type Topics = ReturnType<typeof createTopics>

/** Sessions are opened when first needed and exchanged when their certificate has been. */
export function createTopics(deps: { db: Db; clock: Clock; box: SecretBox; service: PushService }) {
  const { db, clock, box, service } = deps
  const known = new Map<string, Known>()
  const sessions = new Map<string, { version: number; session: Promise<ApnsSession> }>()
  const closing = new Set<Promise<void>>()
  let refreshedAt = -Infinity

  /** Reads the state of all certificates; sessions with an older certificate end with their streams. */
  async function refresh(): Promise<void> {
    const rows = await store.findSendingState(db.kysely)
    const now = clock.now().getTime()
    const topics = new Set(rows.map(({ topic }) => topic))
    for (const topic of known.keys()) if (!topics.has(topic)) known.delete(topic)
    for (const { topic, version, not_after, rejected_reason } of rows) {
      const before = known.get(topic)
      const isSame = before?.version === version && before.rejectedReason !== null
      const probeAt = isSame ? before.probeAt : now + PROBE_EVERY_MS
      known.set(topic, { version, notAfter: not_after, rejectedReason: rejected_reason, probeAt })
    }
    for (const [topic, { version }] of sessions) {
      if (known.get(topic)?.version !== version) retire(topic)
    }
    refreshedAt = now
  }

  function retire(topic: string): void {
    const old = sessions.get(topic)
    sessions.delete(topic)
    if (old === undefined) return
    const closed = old.session.then((session) => session.close()).catch(() => undefined)
    closing.add(closed)
    void closed.finally(() => closing.delete(closed))
  }

  async function open(topic: string): Promise<ApnsSession> {
    const pair = await openKeyPair({ db, box }, topic)
    if (pair === undefined) throw new AppError('push_certificate_missing')
    return createApnsSession({ origin: service.url, ca: service.ca, ...pair, clock })
  }

  return {
    refresh,
    /** Refreshes when that was long ago. */
    async keepFresh(): Promise<void> {
      if (clock.now().getTime() - refreshedAt >= REFRESH_EVERY_MS) await refresh()
    },
    state(topic: string): Topic {
      const found = known.get(topic)
      if (found === undefined) return { topic, version: 0, blocked: 'missing' }
      const isExpired = found.notAfter <= clock.now()
      return { topic, version: found.version, blocked: isExpired ? 'expired' : found.rejectedReason }
    },
    /** The session of a topic with a certificate. */
    session(topic: string): Promise<ApnsSession> {
      const version = known.get(topic)?.version ?? 0
      const present = sessions.get(topic)
      if (present !== undefined) return present.session
      const session = open(topic)
      sessions.set(topic, { version, session })
      session.catch(() => sessions.delete(topic))
      return session
    },
    /** Notes what this process has learned before the next refresh tells all. */
    note({ topic, version }: Topic, rejectedReason: string | null): void {
      const found = known.get(topic)
      if (found?.version === version) Object.assign(found, { rejectedReason })
    },
    /** Refused topics that are to be tried again now; each is told once per period. */
    takeProbes(): Topic[] {
      const now = clock.now()
      const due = [...known].filter(
        ([, entry]) =>
          entry.rejectedReason !== null && entry.notAfter > now && entry.probeAt <= now.getTime(),
      )
      return due.map(([topic, entry]) => {
        entry.probeAt = now.getTime() + PROBE_EVERY_MS
        return { topic, version: entry.version, blocked: null }
      })
    },
    /** Ends all sessions with their streams. */
    async close(): Promise<void> {
      for (const topic of [...sessions.keys()]) retire(topic)
      await Promise.all(closing)
    },
  }
}
