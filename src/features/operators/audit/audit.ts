import type { Db } from '../../../db/index.ts'
import type { Actor } from '../../../kernel/act.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import { newId } from '../../../kernel/ids.ts'
import type { Log } from '../../../kernel/log.ts'
import { decodeCursor, page, type Page } from '../../../kernel/paging.ts'
import type { Events } from '../../events/index.ts'
import type { Entry, Head, Told } from './chain.ts'
import { checkAnchor, checkChain, type Verdict } from './check.ts'
import { createCounter } from './counter.ts'
import { deleteBefore, numberWaiting } from './numbering.ts'
import { completeEntry, findHead, isAnythingWaiting, listEntries, type AuditQuery } from './store.ts'

/** An entry with its hash. */
type SealedEntry = Entry & { hash: string }

/** The audit trail. */
export type Audit = ReturnType<typeof createAudit>

/**
 * Who asked for what, and what came of it. A change is noted in its own transaction (`db/statements/audit.ts`); each entry gets its
 * number and its place in the chain of hashes after the commit, under a lock, whichever process wrote it.
 */
export function createAudit(deps: {
  db: Db
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  /** Whose a secret is, or was until it ended. */
  whose: (secretHash: Buffer) => Promise<Actor | undefined>
}) {
  const { db, clock, log, events } = deps
  const counter = createCounter(deps.whose)
  let anchored: number | undefined
  let checking: Promise<Verdict> | undefined

  async function seal(): Promise<void> {
    if (!(await isAnythingWaiting(db.kysely))) return
    while (await numberWaiting(db, clock.now()));
  }

  /** Tells of what was counted since the last time. */
  async function tellCounts(): Promise<void> {
    const now = clock.now()
    for (const told of counter.take()) await completeEntry(db.kysely, newId(now), told, now)
  }

  /** Tells the number and hash of the last entry, unless this process told them before. */
  async function anchor(): Promise<void> {
    await seal()
    const head = await findHead(db.kysely)
    if (head === undefined || head.number === anchored) return
    await db.transaction((trx) =>
      events.emit(trx, { type: 'audit.anchored', data: { number: head.number, hash: head.hash } }),
    )
    anchored = head.number
  }

  return {
    /** Notes how a request ended: adds to what was written with its change, or is all that there is. */
    complete: (entry: string, told: Partial<Told>): Promise<void> =>
      completeEntry(db.kysely, entry, told, clock.now()),
    /** Counts a request of which there may be any number; see `createCounter`. */
    count: counter.count,
    /** Job: gives numbers to what is complete. */
    seal,
    /** Job. */
    tellCounts,
    /** Job. */
    anchor,
    /** Entries, newest first. */
    async list(
      query: Omit<AuditQuery, 'beforeNumber'> & { cursor?: string | undefined },
    ): Promise<Page<SealedEntry>> {
      const { cursor, limit, ...wanted } = query
      const [beforeNumber] = decodeCursor(cursor, ['number']) ?? []
      await seal()
      const rows = await listEntries(db.kysely, { ...wanted, beforeNumber, limit: limit + 1 })
      const { items, next_cursor } = page(rows, limit, ({ number }) => [number])
      return {
        items: items.map(({ content, hash }) => ({ ...(JSON.parse(content) as Entry), hash })),
        next_cursor,
      }
    },
    /** See `checkChain` and `checkAnchor`. Those who ask at the same time share one walk, which may be long. */
    async check(told?: Head): Promise<Verdict> {
      await seal()
      const verdict = await (checking ??= checkChain(db.kysely).finally(() => (checking = undefined)))
      const faults = told ? await checkAnchor(db.kysely, told, verdict) : []
      return { ...verdict, ok: verdict.ok && faults.length === 0, faults: [...verdict.faults, ...faults] }
    },
    /** Deletes entries that are older than `days` days, see `deleteBefore`. */
    expire(days: number): Promise<void> {
      const now = clock.now()
      return deleteBefore(db, addTime(now, -days, 'day'), now)
    },
    /** Tells what is left to tell, if the database is there. */
    async close(): Promise<void> {
      try {
        await tellCounts()
        await anchor()
      } catch (error) {
        log.error(
          { event: 'audit.write_failed', err: error },
          'the head of the audit trail could not be told at the stop',
        )
      }
    },
  }
}
