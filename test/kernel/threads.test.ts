import { afterEach, expect, test } from 'vitest'
import { createThreadPool } from '../../src/kernel/threads.ts'
import type { ThreadPool } from '../../src/kernel/threads.ts'
import { manualClock } from '../support/manual-clock.ts'
import type { TestTask } from './threads-worker.ts'

const script = new URL('threads-worker.ts', import.meta.url)
let pool: ThreadPool

function open(size: number, maxWaiting?: number): (task: TestTask) => Promise<unknown> {
  pool = createThreadPool({ script, size, ...(maxWaiting !== undefined && { maxWaiting }) })
  return (task) => pool.run(task)
}

/** A worker that waits until `release` is called. */
function gate() {
  const shared = new SharedArrayBuffer(4)
  const release = () => {
    Atomics.store(new Int32Array(shared), 0, 1)
    Atomics.notify(new Int32Array(shared), 0)
  }
  return { task: { do: 'wait', gate: shared } satisfies TestTask, release }
}

afterEach(() => pool.close())

test('tasks are answered, each with its own result', async () => {
  const run = open(2)
  const values = Array.from({ length: 50 }, (_, index) => index)
  expect(await Promise.all(values.map((value) => run({ do: 'echo', value })))).toEqual(values)
  expect(await run({ do: 'transfer' })).toEqual(new Uint8Array([7, 7, 7, 7]))
})

test('what is handed over is moved, and comes back', async () => {
  open(1)
  const bytes = new Uint8Array([1, 2, 3])
  const answer = pool.run({ do: 'echo', value: bytes }, { transfer: [bytes.buffer] })
  expect(bytes.length).toBe(0)
  expect(await answer).toEqual(new Uint8Array([1, 2, 3]))
})

test('an error keeps its code, another one is internal, and the thread goes on', async () => {
  const run = open(1)
  await expect(run({ do: 'fail' })).rejects.toMatchObject({ code: 'cms_invalid', message: 'refused' })
  await expect(run({ do: 'throw' })).rejects.toMatchObject({ code: 'internal', message: 'broken' })
  expect(await run({ do: 'echo', value: 1 })).toBe(1)
})

test('a thread that dies rejects its own task alone and is replaced', async () => {
  const run = open(1)
  const [died, after] = await Promise.allSettled([run({ do: 'die' }), run({ do: 'echo', value: 'next' })])
  expect(died).toMatchObject({
    status: 'rejected',
    reason: { code: 'internal', message: 'A worker thread ended' },
  })
  expect(after).toMatchObject({ status: 'fulfilled', value: 'next' })
})

test('a script that does not start rejects its tasks', async () => {
  pool = createThreadPool({ script: new URL('nothing.ts', import.meta.url), size: 1 })
  await expect(pool.run({})).rejects.toMatchObject({ code: 'internal' })
  await expect(pool.run({})).rejects.toMatchObject({ code: 'internal' })
})

test('a task that cannot be sent is refused, and the next one runs', async () => {
  const run = open(1)
  await expect(run({ do: 'echo', value: () => 1 })).rejects.toMatchObject({ code: 'internal' })
  expect(await run({ do: 'echo', value: 2 })).toBe(2)
})

test('no more than some wait', async () => {
  const run = open(1, 1)
  const { task, release } = gate()
  const running = run(task)
  const waiting = run({ do: 'echo', value: 1 })
  await expect(run({ do: 'echo', value: 2 })).rejects.toMatchObject({ code: 'overloaded' })
  release()
  expect(await Promise.all([running, waiting])).toEqual([undefined, 1])
})

test('closing rejects what is running, what waits and what comes', async () => {
  const run = open(1)
  const tasks = [run(gate().task), run({ do: 'echo' })]
  const settled = Promise.allSettled(tasks)
  await pool.close()
  for (const result of await settled) expect(result).toMatchObject({ reason: { code: 'overloaded' } })
  await expect(run({ do: 'echo' })).rejects.toMatchObject({ code: 'overloaded' })
})

test('a thread ends after ten seconds without work, and another one does the next task', async () => {
  const clock = manualClock()
  pool = createThreadPool({ script, size: 2, clock })
  const name = () => pool.run<number>({ do: 'name' })
  const first = await name()
  clock.advance(1_999)
  expect(await name()).toBe(first)
  clock.advance(1_999)
  expect(await name()).toBe(first)
  clock.advance(2_000)
  const second = await name()
  expect(second).not.toBe(first)
  expect(await name()).toBe(second)
})

test('a thread that works does not end, however long it takes', async () => {
  const clock = manualClock()
  pool = createThreadPool({ script, size: 1, clock })
  const first = await pool.run({ do: 'name' })
  const { task, release } = gate()
  const running = pool.run(task)
  clock.advance(600_000)
  release()
  expect(await running).toBe(undefined)
  expect(await pool.run({ do: 'name' })).toBe(first)
})

test('lanes are served by turns, so that one never waits for all of another', async () => {
  open(1)
  const { task, release } = gate()
  const order: string[] = []
  const run = (lane: string) =>
    pool.run({ do: 'echo', value: lane }, { lane }).then((value) => void order.push(value as string))
  const first = pool.run(task)
  const all = [...Array.from({ length: 5 }, () => run('many')), run('one'), run('other'), run('one')]
  release()
  await Promise.all([first, ...all])
  expect(order).toEqual(['many', 'one', 'other', 'many', 'one', 'many', 'many', 'many'])
})

test('what waits is bounded by its bytes too', async () => {
  open(1)
  const { task, release } = gate()
  const running = pool.run(task, { bytes: 200 * 1024 * 1024 })
  const waiting = pool.run({ do: 'echo', value: 1 }, { bytes: 200 * 1024 * 1024 })
  const refused = pool.run({ do: 'echo', value: 2 }, { bytes: 57 * 1024 * 1024 })
  await expect(refused).rejects.toMatchObject({ code: 'overloaded' })
  const small = pool.run({ do: 'echo', value: 3 }, { bytes: 56 * 1024 * 1024 })
  release()
  await running
  expect(await Promise.all([waiting, small])).toEqual([1, 3])
  expect(await pool.run({ do: 'echo', value: 4 }, { bytes: 256 * 1024 * 1024 })).toBe(4)
})
