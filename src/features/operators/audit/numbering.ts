import type { Db } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import { type Head, linkAfter, NOTHING_BEFORE } from './chain.ts'
import { RETENTION } from './check.ts'
import { deleteUpTo, findHead, insertLinks, lastBefore, lockChain, takeWaiting } from './store.ts'

const BATCH = 500
/** After this a request counts as never answered, as its process died; its change was made all the same. */
const ABANDONED_SECONDS = 60

/** Gives numbers to entries that wait and are complete, or abandoned; whether more may wait. */
export function numberWaiting(db: Db, now: Date): Promise<boolean> {
  return db.transaction(async (trx) => {
    await lockChain(trx)
    const waiting = await takeWaiting(trx, addTime(now, -ABANDONED_SECONDS, 'second'), BATCH)
    let head: Head = (await findHead(trx)) ?? NOTHING_BEFORE
    const links = waiting.map(({ content, at }) => (head = linkAfter(head, content, at)))
    await insertLinks(trx, links)
    return waiting.length === BATCH
  })
}

/** Deletes entries from before a time, and adds one that tells of it with the hash of the last of them. */
export function deleteBefore(db: Db, before: Date, now: Date): Promise<void> {
  return db.transaction(async (trx) => {
    await lockChain(trx)
    const last = await lastBefore(trx, before)
    const head = await findHead(trx)
    if (last === undefined || head === undefined) return
    const deleted = await deleteUpTo(trx, last.number)
    const after = { through: last.number, hash: last.hash, deleted }
    await insertLinks(trx, [linkAfter(head, { action: RETENTION, via: 'job', after }, now)])
  })
}
