import { sql, type RawBuilder } from 'kysely'
import type { Db } from './database.ts'

/** So that making or dropping a partition never holds up the queue: it gives up and the next run tries again. */
const LOCK_TIMEOUT = '5s'

/**
 * Sees to it that `table`, partitioned by range of a timestamptz column, has a partition (`<table>_y2026m11`, months in
 * UTC) for the month of `now` and the `ahead` months after it. Harmless to repeat, and in several processes at once.
 * Gives the names of those it made.
 */
export async function ensurePartitions(
  db: Db,
  table: string,
  { now, ahead }: { now: Date; ahead: number },
): Promise<string[]> {
  const wanted = Array.from({ length: ahead + 1 }, (_, index) => monthAfter(now, index))
  const present = new Set((await listPartitions(db, table)).map(({ name }) => name))
  const missing = wanted.filter((month) => !present.has(partitionName(table, month)))
  if (missing.length === 0) return []
  return db.transaction(async (trx) => {
    await lockPartitions(table).execute(trx)
    for (const month of missing) await createPartition(table, month).execute(trx)
    return missing.map((month) => partitionName(table, month))
  })
}

/** Drops the partitions of `table` whose every row is older than `olderThan`, and gives their names. */
export async function dropPartitions(db: Db, table: string, olderThan: Date): Promise<string[]> {
  const past = (await listPartitions(db, table)).filter(({ month }) => monthAfter(month, 1) <= olderThan)
  if (past.length === 0) return []
  return db.transaction(async (trx) => {
    await lockPartitions(table).execute(trx)
    for (const { name } of past) await sql`drop table if exists ${sql.table(name)}`.execute(trx)
    return past.map(({ name }) => name)
  })
}

async function listPartitions(db: Db, table: string): Promise<{ name: string; month: Date }[]> {
  const { rows } = await sql<{ name: string }>`
    select child.relname as name from pg_inherits
    join pg_class child on child.oid = inhrelid
    where inhparent = to_regclass(${table}) order by 1`.execute(db.kysely)
  return rows.flatMap(({ name }) => {
    const month = monthOf(table, name)
    return month === undefined ? [] : [{ name, month }]
  })
}

function lockPartitions(table: string): RawBuilder<unknown> {
  return sql`
    select set_config('lock_timeout', ${LOCK_TIMEOUT}, true), pg_advisory_xact_lock(hashtext(${`partitions of ${table}`}))`
}

function createPartition(table: string, month: Date): RawBuilder<unknown> {
  return sql`
    create table if not exists ${sql.table(partitionName(table, month))} partition of ${sql.table(table)}
    for values from (${sql.lit(month.toISOString())}) to (${sql.lit(monthAfter(month, 1).toISOString())})`
}

function partitionName(table: string, month: Date): string {
  const [year, number] = month.toISOString().split('-')
  return `${table}_y${year ?? ''}m${number ?? ''}`
}

function monthOf(table: string, name: string): Date | undefined {
  const [, year, month] = /_y(\d{4})m(\d{2})$/.exec(name) ?? []
  if (year === undefined || month === undefined || name !== `${table}_y${year}m${month}`) return undefined
  return new Date(`${year}-${month}-01T00:00:00Z`)
}

function monthAfter(time: Date, months: number): Date {
  return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + months, 1))
}
