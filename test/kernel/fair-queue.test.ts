import { describe, expect, test } from 'vitest'
import { createFairQueue } from '../../src/kernel/fair-queue.ts'
import { manualClock } from '../support/manual-clock.ts'

/** Tasks that end when the test says so, in the order in which they were started. */
function stage(options: Parameters<typeof createFairQueue>[0]) {
  const clock = manualClock()
  const queue = createFairQueue({ clock, ...options })
  const started: string[] = []
  const ends: (() => void)[] = []
  const run = (lane: string) =>
    queue.run({ lane, maxWaitMs: 10_000 }, async () => {
      started.push(lane)
      await new Promise<void>((resolve) => ends.push(resolve))
      return lane
    })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    run,
    started,
    clock,
    settle,
    async endNext() {
      ends.shift()?.()
      await settle()
    },
  }
}

const TURN = { lane: 'a', maxWaitMs: 10_000 }

describe('a fair queue', () => {
  test('lanes take turns: a flood makes itself wait', async () => {
    const { run, started, settle, endNext } = stage({
      width: 2,
      perLane: 2,
      maxWaiting: 100,
      maxPerLane: 50,
    })
    const all = [...Array.from({ length: 20 }, () => run('flood')), run('anna'), run('berta')]
    await settle()
    expect(started).toEqual(['flood', 'flood'])
    await endNext()
    await endNext()
    await endNext()
    expect(started.slice(2)).toEqual(expect.arrayContaining(['anna', 'berta']))
    for (let left = 0; left < 30; left += 1) await endNext()
    expect(await Promise.all(all)).toHaveLength(22)
    expect(started.filter((lane) => lane === 'flood')).toHaveLength(20)
  })

  test('a lane has its own width', async () => {
    const { run, started, settle, endNext } = stage({
      width: Infinity,
      perLane: 2,
      maxWaiting: 100,
      maxPerLane: 50,
    })
    const all = [run('a'), run('a'), run('a'), run('b')]
    await settle()
    expect(started).toEqual(['a', 'a', 'b'])
    await endNext()
    expect(started).toEqual(['a', 'a', 'b', 'a'])
    for (let left = 0; left < 4; left += 1) await endNext()
    expect(await Promise.all(all)).toEqual(['a', 'a', 'a', 'b'])
  })

  test('a full lane is refused, and the others are not', async () => {
    const { run, settle, endNext } = stage({ width: 1, perLane: 1, maxWaiting: 4, maxPerLane: 2 })
    const running = run('flood')
    await settle()
    const waiting = [run('flood'), run('flood')]
    await expect(run('flood')).rejects.toMatchObject({ code: 'overloaded' })
    waiting.push(run('anna'), run('berta'))
    await expect(run('claus')).rejects.toMatchObject({ code: 'overloaded' })
    for (let left = 0; left < 6; left += 1) await endNext()
    expect(await Promise.all([running, ...waiting])).toHaveLength(5)
  })

  test('a task that fails gives its place on', async () => {
    const queue = createFairQueue({ width: 1, perLane: 1, maxWaiting: 4, maxPerLane: 4 })
    await expect(queue.run(TURN, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    expect(await queue.run(TURN, async () => 1)).toBe(1)
  })

  test('whoever would wait for too long is refused at once; other lanes are not', async () => {
    const limits = { width: 2, perLane: 2, maxWaiting: 1_000, maxPerLane: 1_000, expectedMs: 1_000 }
    const { run, settle, endNext, clock } = stage(limits)
    const flood = Array.from({ length: 22 }, () => run('flood'))
    await settle()
    await expect(run('flood')).rejects.toMatchObject({ code: 'overloaded' })
    const anna = run('anna')
    // What has taken longer than was thought lets fewer wait.
    clock.advance(4_000)
    await endNext()
    await expect(run('flood')).rejects.toMatchObject({ code: 'overloaded' })
    for (let left = 0; left < 30; left += 1) await endNext()
    expect(await anna).toBe('anna')
    expect(await Promise.all(flood)).toHaveLength(22)
  })

  test('whoever has waited for too long is refused, and those behind go on', async () => {
    const { run, settle, endNext, clock, started } = stage({
      ...{ width: 1, perLane: 1, maxWaiting: 10, maxPerLane: 10 },
    })
    const hanging = run('a')
    await settle()
    const refused = expect(run('a')).rejects.toMatchObject({ code: 'overloaded' })
    clock.advance(6_000)
    const later = run('b')
    clock.advance(5_000)
    await refused
    await endNext()
    await endNext()
    expect(await Promise.all([hanging, later])).toEqual(['a', 'b'])
    expect(started).toEqual(['a', 'b'])
  })
})
