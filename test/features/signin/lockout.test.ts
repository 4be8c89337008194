import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLockout, subjectsOf } from '../../../src/features/signin/lockout/lockout.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { newAddress, newName, signinWorld } from './signin-world.ts'

const MINUTE = 60_000

describeEachEngine('lock-out', (database) => {
  function world() {
    const clock = manualClock()
    const { db, log, lines } = signinWorld(database(), { clock })
    const make = () => createLockout({ db, clock, log })
    const lockout = make()
    const fail = async (name: string, address: string, times = 1) => {
      for (let left = times; left > 0; left -= 1) await lockout.noteFailure(subjectsOf(name, address), 'r')
    }
    const wait = async (name: string, address: string) =>
      (await lockout.check(subjectsOf(name, address))).retryAfterSeconds
    return { clock, db, lines, lockout, make, fail, wait }
  }

  test('ten wrong passwords in five minutes make the next ones wait, longer each time, for all processes', async () => {
    const { clock, make, fail, wait, lines } = world()
    const [name, address] = [newName(), newAddress()]
    await fail(name, address, 9)
    expect(await wait(name, address)).toBe(0)
    await fail(name, address)
    expect(await wait(name, address)).toBe(15)
    expect((await make().check(subjectsOf(name.toUpperCase(), newAddress()))).retryAfterSeconds).toBe(15)
    clock.advance(14_500)
    expect(await wait(name, address)).toBe(1)
    clock.advance(500)
    expect(await wait(name, address)).toBe(0)
    const pauses: number[] = []
    for (let left = 0; left < 3; left += 1) {
      await fail(name, address)
      pauses.push(await wait(name, address))
      clock.advance((pauses.at(-1) ?? 0) * 1000)
    }
    expect(pauses).toEqual([30, 60, 120])
    await fail(name, address)
    expect(await wait(name, address)).toBe(240)
    expect(lines.filter((line) => line.includes('"sign_in.slowed"'))).toHaveLength(5)
    expect(lines.join()).not.toContain(name)
  })

  test('failures are forgotten as time goes by', async () => {
    const { clock, fail, wait } = world()
    const [name, address] = [newName(), newAddress()]
    for (let left = 0; left < 40; left += 1) {
      await fail(name, address)
      clock.advance(MINUTE)
    }
    expect(await wait(name, address)).toBe(0)
    await fail(name, address, 4)
    clock.advance(4 * MINUTE)
    await fail(name, address, 3)
    expect(await wait(name, address)).toBe(0)
    clock.advance(11 * MINUTE)
    await fail(name, address, 9)
    expect(await wait(name, address)).toBe(0)
  })

  test('a right password ends it', async () => {
    const { lockout, fail, wait } = world()
    const [name, address] = [newName(), newAddress()]
    const subjects = subjectsOf(name, address)
    expect((await lockout.check(subjects)).hasFailed).toBe(false)
    await fail(name, address, 9)
    expect((await lockout.check(subjects)).hasFailed).toBe(true)
    await lockout.noteSuccess(subjects)
    await fail(name, address, 9)
    expect(await wait(name, address)).toBe(0)
  })

  test('an address waits when a thousand of its users fail, for a minute at most; IPv6 counts by /64', async () => {
    const { db, clock, fail, wait } = world()
    const subjectOf = (address: string) => subjectsOf('x', address).address
    const seed = (address: string, count: number) =>
      db.kysely
        .insertInto('sign_in_failures')
        .values({
          subject: subjectOf(address),
          count,
          previous: 0,
          window_started_at: clock.now(),
          locked_until: null,
        })
        .execute()
    await seed('2001:db8:0:1::1', 998)
    const name = newName()
    await fail(name, '2001:db8:0:1::2', 3)
    expect(await wait(newName(), '2001:db8:0:1::2')).toBe(0)
    await fail(newName(), '2001:db8:0:1:ffff::3')
    expect(await wait(newName(), '2001:db8:0:1::4')).toBe(15)
    expect(await wait(newName(), '2001:db8:0:2::4')).toBe(0)
    const crowded = newAddress()
    await seed(crowded, 50_000)
    await fail(newName(), crowded)
    expect(await wait(newName(), crowded)).toBe(60)
  })

  test('of many failures at once each counts', async () => {
    const { db, fail, wait } = world()
    const [name, address] = [newName(), newAddress()]
    await Promise.all(Array.from({ length: 10 }, () => fail(name, address)))
    expect(await wait(name, address)).toBe(15)
    const row = await db.kysely
      .selectFrom('sign_in_failures')
      .selectAll()
      .where('subject', '=', subjectsOf(name, address).address)
      .executeTakeFirstOrThrow()
    expect(row.count).toBe(1)
  })

  test('what counts no more is deleted', async () => {
    const { db, clock, lockout, fail } = world()
    const [name, address] = [newName(), newAddress()]
    await fail(name, address, 11)
    const left = async () => {
      const { user, address: from } = subjectsOf(name, address)
      const rows = db.kysely.selectFrom('sign_in_failures').where('subject', 'in', [user, from])
      return (await rows.selectAll().execute()).length
    }
    await lockout.expire()
    expect(await left()).toBe(2)
    clock.advance(16 * MINUTE)
    await lockout.expire()
    expect(await left()).toBe(0)
  })

  test('failures never lock others out: other users wait for nothing, from no address', async () => {
    const { clock, fail, wait, lockout } = world()
    const act = fc.record({
      who: fc.integer({ min: 0, max: 3 }),
      from: fc.integer({ min: 0, max: 2 }),
      times: fc.integer({ min: 1, max: 6 }),
      isRight: fc.boolean(),
      pause: fc.constantFrom(0, 1_000, 20_000, 200_000),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 12 }), async (acts) => {
        const run = newName('run')
        const addresses = [newAddress(), newAddress(), newAddress()]
        const failures = new Map<string, number>()
        for (const { who, from, times, isRight, pause } of acts) {
          const name = `${run}-${who}`
          const address = addresses[from] ?? ''
          if (isRight) {
            await lockout.noteSuccess(subjectsOf(name, address))
            failures.set(name, 0)
          } else {
            await fail(name, address, times)
            failures.set(name, (failures.get(name) ?? 0) + times)
          }
          clock.advance(pause)
        }
        for (const address of addresses) {
          expect(await wait(`${run}-innocent`, address)).toBe(0)
          for (const [name, count] of failures) {
            const seconds = await wait(name, address)
            expect(seconds).toBeLessThanOrEqual(240)
            if (count < 10) expect(seconds).toBe(0)
          }
        }
      }),
      { numRuns: 12 },
    )
  })
})
