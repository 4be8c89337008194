import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from '../../migrations/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { Db } from './database.ts'

/**
 * Brings the schema to the level of this program, all in one transaction under an advisory lock: of several processes
 * that start at once the first does the work and the others wait. Gives the names of the migrations that ran. Throws
 * AppError `conflict` when the database is of a newer program.
 */
export async function migrateToLatest(db: Db): Promise<string[]> {
  await refuseNewerSchema(db)
  const provider = { getMigrations: () => Promise.resolve(migrations) }
  const { error, results = [] } = await new Migrator({ db: db.kysely, provider }).migrateToLatest()
  if (error !== undefined)
    throw error instanceof Error ? error : new AppError('internal', 'A migration failed.', { cause: error })
  return results.map(({ migrationName }) => migrationName)
}

async function refuseNewerSchema(db: Db): Promise<void> {
  const found = await sql<{
    exists: boolean
  }>`select to_regclass('kysely_migration') is not null as exists`.execute(db.kysely)
  if (found.rows[0]?.exists !== true) return
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(
    db.kysely,
  )
  const unknown = rows.map(({ name }) => name).filter((name) => !(name in migrations))
  if (unknown.length === 0) return
  throw new AppError('conflict', `the database is of a newer version: it has ${unknown.join(', ')}`)
}
