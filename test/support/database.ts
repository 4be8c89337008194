import { randomUUID } from 'node:crypto'
import { cpSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, inject, onTestFinished } from 'vitest'
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

/** Opens a test's PostgreSQL database once more, as another process would. */
export function openAgain({ location }: Pick<TestDatabase, 'location'>): Promise<Db> {
  return openDatabase({ ...location, log })
}

/**
 * A `describe` for each engine with a database of its own. `database` gives it inside tests and hooks.
 */
export function describeEachEngine(
  name: string,
  body: (database: () => TestDatabase, engine: Engine) => void,
): void {
  describeEngines(['postgres', 'embedded'], name, body)
}

function describeEngines(
  engines: readonly Engine[],
  name: string,
  body: (database: () => TestDatabase, engine: Engine) => void,
): void {
  describe.each(engines)(`${name} (%s)`, (engine) => {
    let opened: TestDatabase | undefined
    beforeAll(async () => {
      opened = await testDatabase(engine)
    })
    afterAll(async () => {
      await opened?.close()
    })
    body(() => {
      if (opened === undefined) throw new Error('The database is there in tests and hooks only.')
      return opened
    }, engine)
  })
}

/**
 * The same on one engine, for what stands far above storage and takes long: the storage below it is tested on both. With
 * FIRSTBOOT_TEST_ENGINES=both it is run on each.
 */
export function describeOnEngine(
  engine: Engine,
  name: string,
  body: (database: () => TestDatabase, engine: Engine) => void,
): void {
  if (process.env['FIRSTBOOT_TEST_ENGINES'] === 'both') return describeEachEngine(name, body)
  describeEngines([engine], name, body)
}

/** The address of a new database without anything in it; it goes with the test. */
export async function emptyPostgresDatabase(): Promise<string> {
  const name = newName()
  await administer(inject('postgresUrl'), `create database ${name}`)
  onTestFinished(() => dropPostgres(name))
  return addressOf(name)
}

async function clonePostgres(): Promise<TestDatabase> {
  const name = newName()
  await administer(inject('postgresUrl'), `create database ${name} template ${inject('postgresTemplate')}`)
  const location = { url: addressOf(name), dataDir: '' }
  const db = await openDatabase({ ...location, log })
  return withCleanUp(db, location, () => dropPostgres(name))
}

function newName(): string {
  return `firstboot_test_${randomUUID().replaceAll('-', '')}`
}

function addressOf(name: string): string {
  return Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}` }).toString()
}

function dropPostgres(name: string): Promise<void> {
  return administer(inject('postgresUrl'), `drop database if exists ${name} with (force)`)
}

/** A copy of the migrated embedded database; made at once, which takes a third of the time. */
export function copyEmbedded(to: string): void {
  cpSync(inject('embeddedTemplate'), to, { recursive: true })
}

async function cloneEmbedded(): Promise<TestDatabase> {
  const dataDir = join(inject('runFolder'), randomUUID())
  copyEmbedded(dataDir)
  const db = await openDatabase({ dataDir, durable: false, log })
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
