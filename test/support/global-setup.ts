import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { pino } from 'pino'
import type { TestProject } from 'vitest/node'
import { ensurePartitions, migrateToLatest, openDatabase } from '../../src/db/index.ts'
import type { Db } from '../../src/db/index.ts'
import { administer, testServer } from './postgres.ts'
import { temporaryFolder } from './temporary-folder.ts'

const log = pino({ level: 'silent' })

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's address of the PostgreSQL of this run. */
    postgresUrl: string
    /** Name of the migrated database there that tests clone. */
    postgresTemplate: string
    /** Data folder of the migrated embedded database that tests copy. */
    embeddedTemplate: string
    /** Where tests keep their data folders; gone after the run. */
    runFolder: string
  }
}

/** Once for a run: a PostgreSQL, a folder, and in each a migrated database as the template of those of the tests. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const folder = temporaryFolder()
  const server = await testServer()
  const template = `firstboot_template_${process.pid}`
  const embedded = join(folder.path, 'template')

  await Promise.all([
    administer(server.url, `drop database if exists ${template}`, `create database ${template}`).then(() =>
      migrate(withDatabase(server.url, template)),
    ),
    copyEmptyEmbedded(embedded)
      .then(() => migrate(undefined, embedded))
      .then(() => leaveOutUnused(embedded)),
  ])
  provide('postgresUrl', server.url)
  provide('postgresTemplate', template)
  provide('embeddedTemplate', embedded)
  provide('runFolder', folder.path)

  return async () => {
    await administer(server.url, `drop database ${template}`)
    await Promise.all([server.stop(), folder.remove()])
  }
}

/**
 * Making an embedded database takes seconds, so an empty one is kept from run to run below node_modules, by the
 * versions of what makes it.
 */
async function copyEmptyEmbedded(to: string): Promise<void> {
  const makers = ['../../src/db/embedded-create.ts', '../../node_modules/@electric-sql/pglite/package.json']
  const hash = createHash('sha256')
  for (const maker of makers) hash.update(await readFile(new URL(maker, import.meta.url)))
  const kept = fileURLToPath(
    new URL(
      `../../node_modules/.cache/firstboot/embedded-${hash.digest('hex').slice(0, 16)}`,
      import.meta.url,
    ),
  )
  if (!existsSync(kept)) {
    const draft = `${kept}.${process.pid}`
    await (await openDatabase({ dataDir: draft, log })).close()
    // Another run may have been quicker.
    await rename(draft, kept).catch(() => rm(draft, { recursive: true }))
  }
  await cp(kept, to, { recursive: true })
}

/** The databases of which others are made (template1 and template0) are half of all files, and nobody makes any. */
async function leaveOutUnused(folder: string): Promise<void> {
  for (const oid of ['1', '4']) await rm(join(folder, 'database', 'base', oid), { recursive: true })
}

async function migrate(url?: string, dataDir = ''): Promise<void> {
  const db = await openDatabase({ dataDir, log, ...(url === undefined ? {} : { url }) })
  try {
    await migrateToLatest(db)
    for (const table of await partitionedTables(db))
      await ensurePartitions(db, table, { now: new Date(), ahead: 3 })
    // Tests count commands: devices are asked for inventory where a test says so.
    await sql`update settings set "values" = '{"inventory_interval_hours": 0}'`.execute(db.kysely)
  } finally {
    await db.close()
  }
}

async function partitionedTables(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_partitioned_table join pg_class on pg_class.oid = partrelid`.execute(
    db.kysely,
  )
  return rows.map(({ name }) => name)
}

function withDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).toString()
}
