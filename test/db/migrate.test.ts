import { sql } from 'kysely'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { migrateToLatest, openDatabase } from '../../src/db/index.ts'
import { migrations } from '../../migrations/index.ts'
import { administer } from '../support/postgres.ts'
import { describeEachEngine, emptyPostgresDatabase } from '../support/database.ts'

const log = pino({ level: 'silent' })

describeEachEngine('a migrated database', (database) => {
  test('has every migration recorded and needs none again', async () => {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration order by 1`.execute(
      database().kysely,
    )
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(migrations))
    expect(await migrateToLatest(database())).toEqual([])
  })

  test('of a newer program is refused by name', async () => {
    await sql`insert into kysely_migration values ('9999_from_the_future', now()::text)`.execute(
      database().kysely,
    )
    await expect(migrateToLatest(database())).rejects.toMatchObject({
      code: 'conflict',
      message: 'the database is of a newer version: it has 9999_from_the_future',
    })
  })
})

test('processes that start at once on an empty database migrate it once', async () => {
  const url = await emptyPostgresDatabase()
  const servers = await Promise.all(Array.from({ length: 4 }, () => openDatabase({ url, dataDir: '', log })))
  const ran = await Promise.all(servers.map(migrateToLatest))
  expect(ran.flat()).toEqual(Object.keys(migrations))
  await Promise.all(servers.map((db) => db.close()))
  await administer(url, 'select 1 from commands')
})
