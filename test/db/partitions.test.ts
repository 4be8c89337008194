import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { dropPartitions, ensurePartitions, openDatabase } from '../../src/db/index.ts'
import { pino } from 'pino'
import { describeEachEngine, emptyPostgresDatabase } from '../support/database.ts'
import { administer } from '../support/postgres.ts'

describeEachEngine('partitions', (database) => {
  const now = new Date('2026-11-30T23:59:59Z')

  beforeEach(async () => {
    await sql`drop table if exists log_lines`.execute(database().kysely)
    await sql`create table log_lines (at timestamptz not null) partition by range (at)`.execute(
      database().kysely,
    )
  })

  const write = (at: string) =>
    sql`insert into log_lines values (${at}) returning tableoid::regclass::text as part`
  const part = async (at: string) => (await write(at).execute(database().kysely)).rows

  test('are made for this month and the months ahead, across the year', async () => {
    expect(await ensurePartitions(database(), 'log_lines', { now, ahead: 2 })).toEqual([
      'log_lines_y2026m11',
      'log_lines_y2026m12',
      'log_lines_y2027m01',
    ])
    expect(await part('2026-11-01T00:00:00Z')).toEqual([{ part: 'log_lines_y2026m11' }])
    expect(await part('2026-11-30T23:59:59.999Z')).toEqual([{ part: 'log_lines_y2026m11' }])
    expect(await part('2026-12-01T00:00:00Z')).toEqual([{ part: 'log_lines_y2026m12' }])
    expect(await part('2027-01-31T23:59:59Z')).toEqual([{ part: 'log_lines_y2027m01' }])
    await expect(part('2027-02-01T00:00:00Z')).rejects.toThrow('no partition of relation "log_lines" found')
  })

  test('have their borders in UTC whatever the time zone of the session', async () => {
    await database().transaction(async (trx) => {
      await sql`set local time zone 'Pacific/Auckland'`.execute(trx)
      await ensurePartitions({ ...database(), kysely: trx, transaction: (work) => work(trx) }, 'log_lines', {
        now,
        ahead: 0,
      })
    })
    expect(await part('2026-11-01T00:00:00Z')).toEqual([{ part: 'log_lines_y2026m11' }])
    await expect(part('2026-10-31T23:59:59Z')).rejects.toThrow('no partition')
  })

  test('are made once, also when several ask at once', async () => {
    const made = await Promise.all(
      Array.from({ length: 5 }, () => ensurePartitions(database(), 'log_lines', { now, ahead: 3 })),
    )
    expect(made.some((names) => names.length === 4)).toBe(true)
    expect(await ensurePartitions(database(), 'log_lines', { now, ahead: 3 })).toEqual([])
    expect(await ensurePartitions(database(), 'log_lines', { now, ahead: 4 })).toEqual(['log_lines_y2027m03'])
  })

  test('are dropped when their every row is older', async () => {
    await ensurePartitions(database(), 'log_lines', { now, ahead: 2 })
    for (const at of ['2026-11-15T00:00:00Z', '2026-12-15T00:00:00Z']) await part(at)
    expect(await dropPartitions(database(), 'log_lines', new Date('2026-11-30T23:59:59.999Z'))).toEqual([])
    expect(await dropPartitions(database(), 'log_lines', new Date('2026-12-01T00:00:00Z'))).toEqual([
      'log_lines_y2026m11',
    ])
    const { rows } = await sql`select at from log_lines`.execute(database().kysely)
    expect(rows).toEqual([{ at: new Date('2026-12-15T00:00:00Z') }])
  })

  test('of another table with a similar name are left alone', async () => {
    await sql`create table log_lines_y2020m01_kept (at timestamptz)`.execute(database().kysely)
    await ensurePartitions(database(), 'log_lines', { now: new Date('2020-01-01T00:00:00Z'), ahead: 0 })
    expect(await dropPartitions(database(), 'log_lines', now)).toEqual(['log_lines_y2020m01'])
    await sql`drop table log_lines_y2020m01_kept`.execute(database().kysely)
  })
})

test('partitions are safe to make in several processes at once', async () => {
  const url = await emptyPostgresDatabase()
  await administer(url, 'create table log_lines (at timestamptz not null) partition by range (at)')
  const log = pino({ level: 'silent' })
  const servers = await Promise.all([1, 2, 3, 4].map(() => openDatabase({ url, dataDir: '', log })))
  const now = new Date('2026-11-30T23:59:59Z')
  await Promise.all(servers.map((db) => ensurePartitions(db, 'log_lines', { now, ahead: 6 })))
  await Promise.all(servers.map((db) => db.close()))
  await administer(url, 'insert into log_lines select make_timestamptz(2027, 5, 31, 23, 59, 59)')
})
