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
