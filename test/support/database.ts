import { randomUUID } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { openDatabase } from '../../src/db/index.ts'
import type { Db } from '../../src/db/index.ts'
import { administer } from './postgres.ts'

/** The engines that storage runs on. */
export type Engine = 'postgres' | 'embedded'

/** A migrated, empty database of one test file; `close` removes it. */
export type TestDatabase = Db & {
  /** What `openDatabase` or another process needs to reach it; the embedded one must be closed first. */
  location: { url?: string; dataDir: string }
}

const log = pino({ level: 'silent' })

/** Clones the template database of this run (about 0.1 s on PostgreSQL, 0.5 s embedded). */
export async function testDatabase(engine: Engine): Promise<TestDatabase> {
  return engine === 'postgres' ? clonePostgres() : cloneEmbedded()
}

/**
 * A `describe` for each engine with a database of its own. `database` gives it inside tests and hooks.
 */
export function describeEachEngine(
  name: string,
  body: (database: () => TestDatabase, engine: Engine) => void,
): void {
  describe.each(['postgres', 'embedded'] as const)(`${name} (%s)`, (engine) => {
    let opened: TestDatabase | undefined
    beforeAll(async () => {
      opened = await testDatabase(engine)
    }, 60_000)
    afterAll(async () => {
      await opened?.close()
    })
    body(() => {
      if (opened === undefined) throw new Error('The database is there in tests and hooks only.')
      return opened
    }, engine)
  })
}

async function clonePostgres(): Promise<TestDatabase> {
  const server = inject('postgresUrl')
  const name = `firstboot_test_${randomUUID().replaceAll('-', '')}`
  await administer(server, `create database ${name} template ${inject('postgresTemplate')}`)
  const location = { url: Object.assign(new URL(server), { pathname: `/${name}` }).toString(), dataDir: '' }
  const db = await openDatabase({ ...location, log })
  return withCleanUp(db, location, () => administer(server, `drop database if exists ${name} with (force)`))
}

async function cloneEmbedded(): Promise<TestDatabase> {
  const dataDir = join(inject('runFolder'), randomUUID())
  await cp(inject('embeddedTemplate'), dataDir, { recursive: true })
  const db = await openDatabase({ dataDir, log })
  return withCleanUp(db, { dataDir }, () => rm(dataDir, { recursive: true, force: true }))
}

function withCleanUp(db: Db, location: TestDatabase['location'], cleanUp: () => Promise<void>): TestDatabase {
  return {
    ...db,
    location,
    async close() {
      await db.close()
      await cleanUp()
    },
  }
}
