import { describe, expect, test } from 'vitest'
import { createFairQueue } from '../../../src/features/signin/queue.ts'

/** Tasks that end when the test says so, in the order in which they were started. */
function stage(options: Parameters<typeof createFairQueue>[0]) {
  const queue = createFairQueue(options)
  const started: string[] = []
  const ends: (() => void)[] = []
  const run = (lane: string) =>
    queue.run(lane, async () => {
      started.push(lane)
      await new Promise<void>((resolve) => ends.push(resolve))
      return lane
    })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    run,
    started,
    settle,
    async endNext() {
      ends.shift()?.()
      await settle()
    },
  }
}

describe('the queue of passwords', () => {
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
    await expect(queue.run('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    expect(await queue.run('a', async () => 1)).toBe(1)
  })
})
