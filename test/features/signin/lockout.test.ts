import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLockout } from '../../../src/features/signin/lockout/lockout.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { newAddress, newName, signinWorld } from './signin-world.ts'

const MINUTE = 60_000

describeEachEngine('lock-out', (database) => {
  function world() {
    const clock = manualClock()
    const { db, log, lines, secretBox } = signinWorld(database(), { clock })
    const make = () => createLockout({ db, clock, log, secretBox })
    const lockout = make()
    const { subjectsOf } = lockout
    const fail = async (name: string, address: string, times = 1) => {
      for (let left = times; left > 0; left -= 1) await lockout.noteFailure(subjectsOf(name, address), 'r')
    }
    const wait = async (name: string, address: string) =>
      (await lockout.check(subjectsOf(name, address))).retryAfterSeconds
    const delay = async (name: string, address: string) =>
      (await lockout.check(subjectsOf(name, address))).delayMs
    return { clock, db, lines, lockout, subjectsOf, make, fail, wait, delay }
  }

  test('ten wrong passwords in five minutes make the next ones wait, longer each time, for all processes', async () => {
    const { clock, make, subjectsOf, fail, wait, lines } = world()
    const [name, address] = [newName(), newAddress()]
    await fail(name, address, 9)
    expect(await wait(name, address)).toBe(0)
    await fail(name, address)
    expect(await wait(name, address)).toBe(15)
    expect((await make().check(subjectsOf(name.toUpperCase(), address))).retryAfterSeconds).toBe(15)
    expect(await wait(name, newAddress())).toBe(0)
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
    const { lockout, subjectsOf, fail, wait } = world()
    const [name, address] = [newName(), newAddress()]
    const subjects = subjectsOf(name, address)
    expect((await lockout.check(subjects)).hasFailed).toBe(false)
    await fail(name, address, 9)
    expect((await lockout.check(subjects)).hasFailed).toBe(true)
    await lockout.noteSuccess(subjects)
    await fail(name, address, 9)
    expect(await wait(name, address)).toBe(0)
  })

  test('a network waits when a thousand of its users fail, for a minute at most; IPv6 counts by /64', async () => {
    const { db, clock, subjectsOf, fail, wait } = world()
    const subjectOf = (address: string) => subjectsOf('x', address).network
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
    const { db, subjectsOf, fail, wait } = world()
    const [name, address] = [newName(), newAddress()]
    await Promise.all(Array.from({ length: 10 }, () => fail(name, address)))
    expect(await wait(name, address)).toBe(15)
    const row = await db.kysely
      .selectFrom('sign_in_failures')
      .selectAll()
      .where('subject', '=', subjectsOf(name, address).network)
      .executeTakeFirstOrThrow()
    expect(row.count).toBe(1)
  })

  test('what counts no more is deleted', async () => {
    const { db, clock, lockout, subjectsOf, fail } = world()
    const [name, address] = [newName(), newAddress()]
    await fail(name, address, 11)
    const left = async () => {
      const subjects = Object.values(subjectsOf(name, address))
      const rows = db.kysely.selectFrom('sign_in_failures').where('subject', 'in', subjects)
      return (await rows.selectAll().execute()).length
    }
    await lockout.expire()
    expect(await left()).toBe(3)
    clock.advance(16 * MINUTE)
    await lockout.expire()
    expect(await left()).toBe(0)
  })

  test('failures never lock others out: other users wait for nothing, from no address', async () => {
    const { clock, subjectsOf, fail, wait, delay, lockout } = world()
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
        const failures = new Map<string, { name: string; address: string; count: number }>()
        for (const { who, from, times, isRight, pause } of acts) {
          const name = `${run}-${who}`
          const address = addresses[from] ?? ''
          const before = failures.get(`${who} ${from}`)?.count ?? 0
          const count = isRight ? 0 : before + times
          if (isRight) await lockout.noteSuccess(subjectsOf(name, address))
          else await fail(name, address, times)
          failures.set(`${who} ${from}`, { name, address, count })
          clock.advance(pause)
        }
        for (const address of addresses) expect(await wait(`${run}-innocent`, address)).toBe(0)
        for (const { name, address, count } of failures.values()) {
          const seconds = await wait(name, address)
          expect(seconds).toBeLessThanOrEqual(240)
          if (count < 3) expect(seconds).toBe(0)
          // A stranger locks nobody out of a network that has not failed.
          expect(await wait(name, newAddress())).toBe(0)
          expect(await delay(name, newAddress())).toBeLessThanOrEqual(2_000)
        }
      }),
      { numRuns: 12 },
    )
  })

  test('an account that strangers guess at is slowed down everywhere, and locked in their networks alone', async () => {
    const { clock, fail, wait, delay } = world()
    const name = newName('victim')
    const strangers = Array.from({ length: 12 }, newAddress)
    for (const address of strangers) await fail(name, address)
    const [clean, first = ''] = [newAddress(), ...strangers]
    expect([await wait(name, clean), await delay(name, clean)]).toEqual([0, 120])
    expect(await delay(newName(), first)).toBe(0)
    // Three tries a network are left, where there were ten.
    await fail(name, first)
    expect(await wait(name, first)).toBe(0)
    await fail(name, first)
    expect(await wait(name, first)).toBe(15)
    await fail(name, clean, 2)
    expect(await wait(name, clean)).toBe(0)
    for (let left = 0; left < 30; left += 1) for (const address of strangers) await fail(name, address)
    const other = newAddress()
    expect([await wait(name, other), await delay(name, other)]).toEqual([0, 2_000])
    expect(await wait(name, first)).toBe(240)
    clock.advance(10 * MINUTE)
    expect([await wait(name, other), await delay(name, other)]).toEqual([0, 0])
  })

  test('11 wrong passwords and then one in four minutes keep nobody out of another network', async () => {
    const { clock, fail, wait } = world()
    const [name, stranger] = [newName('victim'), newAddress()]
    await fail(name, stranger, 11)
    for (let left = 0; left < 10; left += 1) {
      clock.advance(4 * MINUTE)
      await fail(name, stranger)
      expect(await wait(name, newAddress())).toBe(0)
    }
  })

  test('whatever names strangers think of, the rows are bounded, and tell nothing', async () => {
    const { db, subjectsOf, fail } = world()
    const address = newAddress()
    const name = newName('a password in the wrong field')
    await fail(name, address)
    const rows = await db.kysely.selectFrom('sign_in_failures').select('subject').execute()
    for (const { subject } of rows) expect(subject).toMatch(/^(account|pair|network):\d{1,6}$/)
    const number = (subject: string) => Number(subject.split(':')[1])
    for (let left = 0; left < 500; left += 1) {
      const { account, pair, network } = subjectsOf(newName(), newAddress())
      expect([number(account) < 2 ** 16, number(pair) < 2 ** 18, number(network) < 2 ** 16]).toEqual([
        true,
        true,
        true,
      ])
    }
  })
})
