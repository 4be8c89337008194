import { addTime } from '../../kernel/clock.ts'
import type { Tx } from '../../db/index.ts'
import * as store from './store.ts'

/** Up to so many pushes of one request go at once; more are spread, so that not all devices come in one second. */
const AT_ONCE = 200
/** Apple keeps one undelivered push per device anyway. */
const SPACING_MS = 1_000
const CHUNK = 5_000

/** When each of many is to be pushed to, at `perSecond` from `dueAt` on, in random order. They may be some `among` more. */
export function spread(
  ids: readonly string[],
  {
    dueAt,
    among,
    perSecond,
    random,
  }: { dueAt: Date; among: number; perSecond: number; random: () => number },
): { id: string; dueAt: Date }[] {
  const count = Math.max(ids.length, among)
  const seconds = count > AT_ONCE ? count / perSecond : 0
  return ids.map((id) => ({
    id,
    dueAt: addTime(dueAt, Math.floor(seconds * random() * 1000) / 1000, 'second'),
  }))
}

/** Writes needs down in an order that is the same for everyone, so that two requests do not wait for each other. */
export async function writeNeeds(
  trx: Tx,
  needs: readonly { id: string; dueAt: Date }[],
  now: Date,
): Promise<void> {
  const sorted = needs.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  for (let start = 0; start < sorted.length; start += CHUNK) {
    await store.upsertNeeds(trx, sorted.slice(start, start + CHUNK), now, SPACING_MS)
  }
}
