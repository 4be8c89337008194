import { sql } from 'kysely'
import type { Db } from './database.ts'

/** A table is vacuumed when this many of its rows are dead, and these are more than a fifth of it. */
const MIN_DEAD_ROWS = 500

/**
 * Does for the embedded database what PostgreSQL's background processes do by themselves (it has none): a checkpoint,
 * so that the write-ahead log stays short, then vacuum and statistics of the tables that changed much. To be called
 * every few minutes; on PostgreSQL it does nothing. Gives the tables it vacuumed.
 */
export async function maintainEmbedded(db: Db): Promise<string[]> {
  if (db.kind === 'postgres') return []
  await sql`checkpoint`.execute(db.kysely)
  const { rows } = await sql<{ table: string }>`
    select relname as table from pg_stat_user_tables
    where n_dead_tup > greatest(${sql.lit(MIN_DEAD_ROWS)}, n_live_tup / 5)
      or n_mod_since_analyze > greatest(${sql.lit(MIN_DEAD_ROWS)}, n_live_tup / 5)`.execute(db.kysely)
  for (const { table } of rows) await sql`vacuum (analyze) ${sql.table(table)}`.execute(db.kysely)
  return rows.map(({ table }) => table)
}

/** Pages by which a table may outgrow what the planner knows of it before its statistics are taken anew. */
const MIN_GROWN_PAGES = 16
const STATISTICS_LOCK = 'statistics'

/**
 * Takes the statistics of tables that have doubled since they were last taken. A prepared statement is planned once, and
 * of tables that were empty then it reads every row; PostgreSQL's own process comes by once a minute, in which a queue
 * may grow from nothing to a hundred thousand. New statistics have every statement planned anew. To be called every few
 * seconds; one process at a time does it. Gives the tables.
 */
export function refreshStatistics(db: Db): Promise<string[]> {
  return db.transaction(async (trx) => {
    const { rows } = await sql<{ table: string }>`
      select relname as table from pg_class
      where relnamespace = current_schema()::regnamespace and relkind = 'r'
        and pg_relation_size(oid) / current_setting('block_size')::int >
          ${sql.lit(MIN_GROWN_PAGES)} + 2 * greatest(relpages, 0)`.execute(trx)
    if (rows.length === 0) return []
    const { rows: lock } = await sql<{ got: boolean }>`
      select pg_try_advisory_xact_lock(hashtext(${STATISTICS_LOCK})) as got`.execute(trx)
    if (!lock[0]?.got) return []
    for (const { table } of rows) await sql`analyze ${sql.table(table)}`.execute(trx)
    return rows.map(({ table }) => table)
  })
}
