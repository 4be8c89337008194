import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { markSeen } from '../../db/statements/seen.ts'

/** How long a contact may wait in memory before it is written. */
const FLUSH_MS = 2_000
/** Contacts written by one statement. */
const FLUSH_LIMIT = 2_000

/**
 * When channels were last heard of. Contacts are gathered and written in bulk, because one UPDATE per poll would be
 * most of the cost of a poll; a crash loses at most the last two seconds of this, and nothing else.
 */
export function createSeen(deps: { db: Db; clock: Clock }) {
  let waiting = new Map<string, Date>()
  let cancel: (() => void) | undefined

  async function flush(): Promise<void> {
    cancel?.()
    cancel = undefined
    const batch = waiting
    waiting = new Map()
    const entries = [...batch]
    for (let at = 0; at < entries.length; at += FLUSH_LIMIT)
      await markSeen(deps.db.kysely, new Map(entries.slice(at, at + FLUSH_LIMIT)))
  }

  return {
    /** Notes that a channel was heard of now. */
    note(id: string): void {
      waiting.set(id, deps.clock.now())
      // A failed flush is dropped: the next contact says the same again.
      cancel ??= deps.clock.after(FLUSH_MS, () => void flush().catch(() => undefined))
    },
    flush,
  }
}
