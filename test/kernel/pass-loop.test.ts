import { expect, onTestFinished, test, vi } from 'vitest'
import { createPassLoop } from '../../src/kernel/pass-loop.ts'
import { manualClock } from '../support/manual-clock.ts'

function world(options: { nextIn?: () => Promise<number | undefined>; rest?: number } = {}) {
  const clock = manualClock()
  const passes: PromiseWithResolvers<void>[] = []
  const failures: unknown[] = []
  const loop = createPassLoop({
    ...options,
    clock,
    debounceMs: 10,
    pass() {
      const pass = Promise.withResolvers<void>()
      passes.push(pass)
      return pass.promise
    },
    onFailure: (error) => failures.push(error),
  })
  return { clock, passes, failures, loop }
}

/** Lets what follows from settled promises happen. */
const rest = () => new Promise((resolve) => setImmediate(resolve))

test('many wakes of a moment make one pass, after the pause', () => {
  const { clock, passes, loop } = world()
  for (let at = 0; at < 5; at += 1) loop.wake()
  clock.advance(9)
  expect(passes).toHaveLength(0)
  clock.advance(1)
  expect(passes).toHaveLength(1)
})

test.each([
  ['a short one', 1, 10],
  ['a long one', 50, 200],
  ['one that took very long', 60_000, 2_000],
])('after %s it rests in proportion before it is woken, at most two seconds', async (_what, took, pause) => {
  const { clock, passes, loop } = world({ rest: 4 })
  let now = 0
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now)
  onTestFinished(() => spy.mockRestore())
  const first = loop.run()
  now += took
  passes[0]?.resolve()
  await first
  loop.wake()
  clock.advance(pause - 1)
  expect(passes).toHaveLength(1)
  clock.advance(1)
  expect(passes).toHaveLength(2)
})

test('who asks while a pass is under way is answered after one that began later; there are never two at once', async () => {
  const { passes, loop } = world()
  const first = loop.run()
  const answered: string[] = []
  const others = [loop.run(), loop.run()].map((run) => run.then(() => answered.push('answered')))
  expect(passes).toHaveLength(1)
  passes[0]?.resolve()
  await rest()
  expect([passes.length, answered]).toEqual([2, []])
  passes[1]?.resolve()
  await Promise.all([first, ...others])
  expect([passes.length, answered.length]).toEqual([2, 2])
})

test('the next pass comes when it is due, or when it is woken before', async () => {
  const { clock, passes, loop } = world({ nextIn: () => Promise.resolve(500) })
  const first = loop.run()
  passes[0]?.resolve()
  await first
  clock.advance(499)
  expect(passes).toHaveLength(1)
  clock.advance(1)
  expect(passes).toHaveLength(2)
  passes[1]?.resolve()
  await rest()
  loop.wake()
  clock.advance(10)
  expect(passes).toHaveLength(3)
})

test('a failure goes to who asked, or is told; the loop goes on', async () => {
  const { clock, passes, failures, loop } = world()
  const run = loop.run()
  passes[0]?.reject(new Error('asked for'))
  await expect(run).rejects.toThrow('asked for')
  loop.wake()
  clock.advance(10)
  passes[1]?.reject(new Error('woken'))
  await rest()
  expect(failures).toEqual([new Error('woken')])
  void loop.run()
  expect(passes).toHaveLength(3)
})

test('closing waits for the pass under way; there is none afterwards', async () => {
  const { clock, passes, loop } = world()
  const run = loop.run()
  void loop.run()
  loop.wake()
  const closed = loop.close()
  expect(loop.isClosed()).toBe(true)
  passes[0]?.resolve()
  await Promise.all([run, closed])
  loop.wake()
  clock.advance(1_000)
  await loop.run()
  expect(passes).toHaveLength(1)
})
