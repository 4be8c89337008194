import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { Migrator } from 'kysely/migration'
import { migrations } from '../../migrations/index.ts'
import { openDatabase, type Db } from '../../src/db/index.ts'
import { emptyPostgresDatabase } from './database.ts'

/** A database as it was after the migration of this name; it goes with the test. */
export async function databaseAfter(migration: string): Promise<Db> {
  const url = await emptyPostgresDatabase()
  const db = await openDatabase({ url, dataDir: '', log: pino({ level: 'silent' }) })
  onTestFinished(() => db.close())
  const provider = { getMigrations: async () => migrations }
  const migrator = new Migrator({ db: db.kysely, provider, allowUnorderedMigrations: true })
  const { error } = await migrator.migrateTo(migration)
  if (error !== undefined) throw error as Error
  return db
}
