import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import { maintainEmbedded, refreshStatistics } from '../../src/db/index.ts'
import { describeEachEngine, testDatabase } from '../support/database.ts'

describeEachEngine('maintenance', (database, engine) => {
  const deadRows = async () =>
    (
      await sql<{
        n: number
      }>`select n_dead_tup as n from pg_stat_user_tables where relname = 'busy'`.execute(database().kysely)
    ).rows[0]?.n

  test('cleans the tables that changed much, on the embedded database only', async () => {
    const { kysely } = database()
    await sql`create table busy (id int primary key, n int) with (autovacuum_enabled = off)`.execute(kysely)
    await sql`insert into busy select i, 0 from generate_series(1, 2000) i`.execute(kysely)
    await sql`update busy set n = 1`.execute(kysely)
    await sql`select pg_stat_force_next_flush()`.execute(kysely).catch(() => undefined)

    const vacuumed = await maintainEmbedded(database())
    if (engine === 'postgres') return expect(vacuumed).toEqual([])
    expect(vacuumed).toContain('busy')
    expect(await deadRows()).toBe(0)
    expect(await maintainEmbedded(database())).toEqual([])
  })

  test('takes the statistics of a table that has grown, so that statements planned when it was empty use its index', async () => {
    const { kysely } = database()
    await sql`create table queue (id int primary key, n int) with (autovacuum_enabled = off)`.execute(kysely)
    await sql`vacuum analyze queue`.execute(kysely)
    const update = `
      with i as materialized (select * from unnest($1::int[], $2::int[]) as i (id, n))
      update queue q set n = i.n from i where q.id = i.id and (i.n > 0 or i.n is null)`
    const plan = async () =>
      (await database().prepared<{ 'QUERY PLAN': string }>('planned', `explain ${update}`, [[1], [1]]))
        .map((row) => row['QUERY PLAN'])
        .join('\n')
    await plan()
    expect(await refreshStatistics(database())).not.toContain('queue')

    await sql`insert into queue select i, 0 from generate_series(1, 20000) i`.execute(kysely)
    expect(await refreshStatistics(database())).toContain('queue')
    expect(await plan()).toMatch(/Index Cond: \(id = i\.id\)/)
    expect(await refreshStatistics(database())).toEqual([])
  })
})

test('maintenance keeps the write-ahead log of the embedded database from growing without end', async () => {
  const db = await testDatabase('embedded')
  onTestFinished(() => db.close())
  const { kysely } = db
  const logSize = async () =>
    (await sql<{ size: number }>`select sum(size)::int8 as size from pg_ls_waldir()`.execute(kysely)).rows[0]
      ?.size ?? 0
  await sql`create table filler (body text)`.execute(kysely)
  const fill = async () => {
    await sql`insert into filler select repeat(md5(i::text), 60) from generate_series(1, 20000) i`.execute(
      kysely,
    )
    await sql`truncate filler`.execute(kysely)
  }
  const sizes: number[] = []
  for (let round = 0; round < 6; round += 1) {
    await fill()
    await maintainEmbedded(db)
    sizes.push(await logSize())
  }
  expect(sizes.at(-1)).toBeLessThanOrEqual((sizes[1] ?? 0) * 1.5)
})
