import type { Queries } from '../../../db/index.ts'
import { hashOf, NOTHING_BEFORE, type Entry, type Head } from './chain.ts'
import { findLink, findNewest, readOn, type AuditRow } from './store.ts'

const BATCH = 500
const MOST_FAULTS = 100
/** What the entry that retention leaves is called. */
export const RETENTION = 'retention'

/** What is wrong at an entry. */
interface Fault {
  number: number
  detail: string
}

/** What became of the trail: `ok` when every entry is as it was written, and none is missing. */
export interface Verdict {
  ok: boolean
  entries: number
  first: number | null
  head: Head | null
  /** The first hundred. */
  faults: Fault[]
}

/** Walks the chain from its oldest entry to its end. */
export async function checkChain(db: Queries): Promise<Verdict> {
  const faults: Fault[] = []
  let entries = 0
  let first: number | null = null
  let last: Head | undefined
  for (;;) {
    const rows = await readOn(db, last?.number ?? 0, BATCH)
    for (const row of rows) {
      const before: Head = last ?? (await beginning(db, row.number))
      for (const detail of faultsOf(row, before)) faults.push({ number: row.number, detail })
      first ??= row.number
      entries += 1
      last = { number: row.number, hash: row.hash }
    }
    if (rows.length < BATCH) break
  }
  return { ok: faults.length === 0, entries, first, head: last ?? null, faults: faults.slice(0, MOST_FAULTS) }
}

/** What came before the oldest entry: nothing, or what retention deleted and told of. */
async function beginning(db: Queries, first: number): Promise<Head> {
  if (first === 1) return NOTHING_BEFORE
  const newest = await findNewest(db, RETENTION)
  const after = newest && entryOf(newest)?.after
  const told = after as { through?: number; hash?: string } | undefined
  return { number: told?.through ?? 0, hash: told?.hash ?? NOTHING_BEFORE.hash }
}

function faultsOf(row: AuditRow, before: Head): string[] {
  if (row.number !== before.number + 1)
    return [`entries ${before.number + 1} to ${row.number - 1} are missing`]
  const entry = entryOf(row)
  if (entry === undefined || hashOf(row.content) !== row.hash) return ['it was changed: it has another hash']
  if (entry.previous !== before.hash) return ['the entry before it was changed, or another one stood there']
  const repeated =
    entry.id === String(row.number) &&
    entry.at === row.at.toISOString() &&
    (entry.actor?.id ?? null) === row.actor_id &&
    (entry.actor?.name ?? null) === row.actor_name &&
    entry.action === row.action &&
    (entry.object?.kind ?? null) === row.object_kind &&
    (entry.object?.id ?? null) === row.object_id &&
    entry.outcome === row.outcome
  return repeated ? [] : ['what it is found by was changed']
}

/**
 * What is wrong if this entry was told outside: it is to be there still, which shows whether the end of the chain was cut off, or all
 * of it written anew. `verdict` is that of the chain.
 */
export async function checkAnchor(
  db: Queries,
  { number, hash }: Head,
  { first, head }: Verdict,
): Promise<Fault[]> {
  if (head === null || number > head.number)
    return [{ number, detail: 'the end of the trail was cut off: it was there, and is not' }]
  const found = await findLink(db, number)
  if (found === undefined) {
    // Retention may have deleted it; whether that is so, its own entry tells.
    return first !== null && number < first ? [] : [{ number, detail: 'it is missing' }]
  }
  return found.hash === hash
    ? []
    : [{ number, detail: 'it is another one than was told: the trail was written anew' }]
}

function entryOf(row: AuditRow): Entry | undefined {
  try {
    return JSON.parse(row.content) as Entry
  } catch {
    return undefined
  }
}
