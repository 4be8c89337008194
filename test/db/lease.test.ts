import { sql } from 'kysely'
import { pino } from 'pino'
import { beforeEach, expect, test } from 'vitest'
import { createLeases } from '../../src/db/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { manualClock } from '../support/manual-clock.ts'

const SECOND = 1_000

describeEachEngine('leases', (database) => {
  const clock = manualClock()
  const leasesOf = (worker: string) =>
    createLeases(
      { db: database(), clock, log: pino({ level: 'silent' }) },
      { table: 'event_subscriptions', worker, key: 'name', until: 'leased_until' },
    )
  const holds = (worker: string) => database().transaction((trx) => leasesOf(worker).holds(trx, 'followed'))

  beforeEach(async () => {
    await sql`delete from event_subscriptions`.execute(database().kysely)
    await sql`insert into event_subscriptions (name, cursor) values ('followed', 7)`.execute(
      database().kysely,
    )
  })

  test('one worker has a row; another gets it when it is released', async () => {
    const [one, other] = [leasesOf('one'), leasesOf('other')]
    expect(await one.take('followed')).toMatchObject({ name: 'followed', cursor: 7, worker: 'one' })
    expect(await other.take('followed')).toBeUndefined()
    expect(await one.take('followed')).toBeDefined()
    await other.release('followed')
    expect([await holds('one'), await holds('other')]).toEqual([true, false])
    await one.release('followed')
    expect(await holds('one')).toBe(false)
    expect(await other.take('followed')).toBeDefined()
    expect(await other.take('unknown')).toBeUndefined()
  })

  test('who is not heard of loses the row; who renews it does not', async () => {
    const [one, other] = [leasesOf('one'), leasesOf('other')]
    await one.take('followed')
    clock.advance(19 * SECOND)
    expect(await other.take('followed')).toBeUndefined()
    clock.advance(SECOND)
    expect(await other.take('followed')).toBeDefined()
    expect(await holds('one')).toBe(false)

    const letGo = other.keep('followed')
    const before = await until()
    clock.advance(5 * SECOND)
    await expect.poll(until).toBe(before + 5 * SECOND)
    letGo()
    clock.advance(20 * SECOND)
    expect(await one.take('followed')).toBeDefined()
  })

  test('a row is held for as long as work takes, and released when that fails', async () => {
    const [one, other] = [leasesOf('one'), leasesOf('other')]
    const outcome = await one.hold('followed', async ({ cursor }) => {
      expect(await other.hold('followed', () => Promise.resolve('done'))).toBeUndefined()
      return cursor
    })
    expect(outcome).toBe(7)
    await expect(one.hold('followed', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
    expect(await other.hold('followed', () => Promise.resolve('done'))).toBe('done')
  })

  async function until(): Promise<number> {
    const { rows } = await sql<{ at: Date }>`select leased_until as at from event_subscriptions`.execute(
      database().kysely,
    )
    return rows[0]!.at.getTime()
  }
})
