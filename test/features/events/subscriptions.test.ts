import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { createEvents, createSubscriptions, type PublishedEvent } from '../../../src/features/events/index.ts'
import type { Db } from '../../../src/db/index.ts'
import { createLog } from '../../../src/kernel/log.ts'
import { createMetrics } from '../../../src/kernel/metrics.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'

describeEachEngine('subscriptions', (database) => {
  beforeEach(async () => {
    for (const table of ['event_failures', 'event_subscriptions', 'event_outbox', 'events'] as const)
      await database().kysely.deleteFrom(table).execute()
  })

  /** One process, its handler as the test has it. */
  function world(db: Db, clock = manualClock()) {
    const lines: Record<string, unknown>[] = []
    const log = createLog({
      level: 'info',
      destination: { write: (line) => void lines.push(JSON.parse(line)) },
    })
    const events = createEvents({ db, clock, log, metrics: createMetrics() })
    const subscriptions = createSubscriptions({ db, clock, log, events })
    onTestFinished(events.close)
    /** Tells of users, each with the device that stands in its name, and has it followed. */
    async function tell(...names: string[]): Promise<void> {
      await db.transaction((trx) =>
        events.emit(
          trx,
          ...names.map((name) => ({
            ...{ type: 'user.created' as const, user_name: name, data: { user_id: name } },
            enrollment_id: name.split('-')[0] ?? null,
          })),
        ),
      )
      await events.publish()
      await subscriptions.run()
    }
    return { clock, lines, events, subscriptions, tell }
  }

  const namesOf = (facts: readonly PublishedEvent[]) => facts.map(({ user_name }) => user_name ?? '')

  test('each event of the types is handled once, in order, from the first start on', async () => {
    const { subscriptions, tell, events } = world(database())
    await tell('before')
    const seen: PublishedEvent[] = []
    await subscriptions.subscribe('test', ['user.created'], async (batch) => void seen.push(...batch))
    await subscriptions.run()
    await database().transaction((trx) =>
      events.emit(trx, { type: 'user.deleted', user_name: 'x', data: { user_id: 'x' } }),
    )
    await tell('a-1', 'b-1', 'a-2')
    await tell('c-1')
    expect(namesOf(seen)).toEqual(['a-1', 'b-1', 'a-2', 'c-1'])
    expect(await subscriptions.states()).toEqual([{ name: 'test', behind: 0, stuck: 0 }])
  })

  test('what came together is handled together, soon after it was committed', async () => {
    const { clock, subscriptions, events } = world(database())
    const seen: string[][] = []
    await subscriptions.subscribe('test', ['user.created'], async (batch) => void seen.push(namesOf(batch)))
    const emit = (type: 'user.created' | 'user.deleted', ...names: string[]) =>
      database().transaction((trx) =>
        events.emit(trx, ...names.map((name) => ({ type, user_name: name, data: { user_id: name } }))),
      )
    const isSeen = (name: string) =>
      expect
        .poll(() => {
          clock.advance(100)
          return seen.flat()
        })
        .toContain(name)
    await emit('user.created', 'a', 'b')
    await emit('user.created', 'c')
    await isSeen('c')
    expect(seen).toEqual([['a', 'b', 'c']])
    await emit('user.deleted', 'x')
    await emit('user.created', 'd')
    await isSeen('d')
    expect(seen).toEqual([['a', 'b', 'c'], ['d']])
    await subscriptions.close()
  })

  test('more than a page of them, and by whichever process is there', async () => {
    const clock = manualClock()
    const [one, two] = [world(database(), clock), world(database(), clock)]
    const seen: PublishedEvent[] = []
    for (const { subscriptions } of [one, two])
      await subscriptions.subscribe('test', ['user.created'], async (batch) => void seen.push(...batch))
    const names = Array.from({ length: 450 }, (_, n) => `d${n % 7}-${n}`)
    await one.tell(...names)
    await two.subscriptions.run()
    expect(namesOf(seen)).toEqual(names)
    await two.tell('z-1')
    await Promise.all([one.subscriptions.run(), two.subscriptions.run()])
    expect(namesOf(seen)).toEqual([...names, 'z-1'])
  })

  test('one that fails is tried again with pauses; later ones of its device wait, those of others go on', async () => {
    const { clock, subscriptions, tell, lines } = world(database())
    const seen: PublishedEvent[] = []
    let isBroken = true
    await subscriptions.subscribe('test', ['user.created'], async (batch) => {
      if (isBroken && namesOf(batch).includes('a-1')) throw new Error('not now')
      seen.push(...batch)
    })
    await tell('a-1', 'b-1', 'a-2')
    expect(namesOf(seen)).toEqual(['b-1'])
    isBroken = false
    await subscriptions.run()
    expect(namesOf(seen)).toEqual(['b-1'])
    await tell('a-3')
    clock.advance(1_000)
    await subscriptions.run()
    expect(namesOf(seen)).toEqual(['b-1', 'a-1', 'a-2', 'a-3'])
    expect(lines.filter(({ event }) => event === 'subscription.failed')).toMatchObject([
      { subscription: 'test', tries: 1, msg: 'not now' },
    ])
  })

  test('after ten tries it is set aside and told, its device goes on, and it can be replayed', async () => {
    const { clock, subscriptions, tell, events } = world(database())
    const seen: PublishedEvent[] = []
    let isBroken = true
    await subscriptions.subscribe('test', ['user.created'], async (batch) => {
      if (isBroken && namesOf(batch).includes('a-1')) throw new Error('never')
      seen.push(...batch)
    })
    await tell('a-1', 'a-2')
    for (let tries = 1; tries < 10; tries++) {
      expect(namesOf(seen)).toEqual([])
      clock.advance(1_000 * 2 ** (tries - 1) - 1)
      await subscriptions.run()
      clock.advance(1)
      await subscriptions.run()
    }
    expect(namesOf(seen)).toEqual(['a-2'])
    expect(await subscriptions.states()).toMatchObject([{ name: 'test', stuck: 1 }])
    await events.publish()
    const told = await events.list({ limit: 10, type: 'subscription.stuck' })
    const [first] = await events.list({ limit: 1, type: 'user.created' })
    expect(told).toMatchObject([
      {
        enrollment_id: 'a',
        data: {
          subscription: 'test',
          event_id: String(first?.id),
          event_type: 'user.created',
          error: 'never',
        },
      },
    ])
    isBroken = false
    expect(await subscriptions.replay('test', first?.id ?? 0)).toBe(true)
    expect(await subscriptions.replay('test', first?.id ?? 0)).toBe(false)
    await subscriptions.run()
    expect(namesOf(seen)).toEqual(['a-2', 'a-1'])
    expect(await subscriptions.states()).toMatchObject([{ name: 'test', stuck: 0 }])
  })

  test('what a process that died had taken goes on when its time has run out', async () => {
    const clock = manualClock()
    const [one, two] = [world(database(), manualClock(clock.now())), world(database(), clock)]
    const seen: PublishedEvent[] = []
    await one.subscriptions.subscribe('test', ['user.created'], () => new Promise(() => undefined))
    await two.subscriptions.subscribe('test', ['user.created'], async (batch) => void seen.push(...batch))
    void one.tell('a-1')
    await expect
      .poll(() =>
        database().kysely.selectFrom('event_subscriptions').select('leased_until').executeTakeFirst(),
      )
      .toMatchObject({ leased_until: expect.any(Date) })
    await two.subscriptions.run()
    expect(seen).toEqual([])
    clock.advance(60_000)
    await two.subscriptions.run()
    expect(namesOf(seen)).toEqual(['a-1'])
  })
})
