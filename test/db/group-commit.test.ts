import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createGroupCommit } from '../../src/db/index.ts'
import { AppError } from '../../src/kernel/errors.ts'

type Request = { key: string; id: number; isBad?: boolean }

/** A `run` whose batches end when the test says so. */
function manualRun() {
  const batches: { requests: Request[]; finish: (error?: Error) => void }[] = []
  const run = (requests: Request[]) =>
    new Promise<number[]>((resolve, reject) => {
      const finish = (error?: Error) => {
        if (error === undefined) resolve(requests.map(({ id }) => id))
        else reject(error)
      }
      batches.push({ requests, finish })
    })
  return { batches, run }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))
const key = (request: Request) => request.key

describe('an idle server', () => {
  test('runs what came in one turn of the event loop together, at its end', async () => {
    const { batches, run } = manualRun()
    const { submit } = createGroupCommit({ key, run, maxBatch: 10 })
    void submit({ key: 'a', id: 1 })
    void submit({ key: 'b', id: 2 })
    expect(batches).toEqual([])
    await settled()
    expect(batches.map(({ requests }) => requests.map(({ id }) => id))).toEqual([[1, 2]])
  })

  test('answers idle() at once', async () => {
    const { run } = manualRun()
    await createGroupCommit({ key, run, maxBatch: 10 }).idle()
  })
})

describe('while a batch is in flight', () => {
  test('requests are collected into the next one, at most maxBatch and one per key', async () => {
    const { batches, run } = manualRun()
    const { submit } = createGroupCommit({ key, run, maxBatch: 2 })
    for (const [id, name] of ['a', 'a', 'b', 'b', 'c'].entries()) void submit({ key: name, id })
    const seen = []
    for (let turn = 0; turn < 3; turn++) {
      await settled()
      expect(batches).toHaveLength(turn + 1)
      seen.push(batches[turn]?.requests.map(({ id }) => id))
      batches[turn]?.finish()
    }
    expect(seen).toEqual([[0, 2], [4, 1], [3]])
  })

  test('a second lane takes other keys only', async () => {
    const { batches, run } = manualRun()
    const { submit } = createGroupCommit({ key, run, maxBatch: 10, lanes: 2 })
    void submit({ key: 'a', id: 0 })
    await settled()
    for (const [id, name] of ['a', 'b', 'c'].entries()) void submit({ key: name, id: id + 1 })
    await settled()
    expect(batches.map(({ requests }) => requests.map(({ id }) => id))).toEqual([[0], [2, 3]])
  })

  test('more than maxWaiting are refused as overloaded, and there is room again afterwards', async () => {
    const { batches, run } = manualRun()
    const { submit } = createGroupCommit({ key, run, maxBatch: 10, maxWaiting: 2 })
    for (const id of [0, 1]) void submit({ key: String(id), id })
    await expect(submit({ key: 'x', id: 9 })).rejects.toMatchObject({ code: 'overloaded' })

    await settled()
    const late = submit({ key: 'x', id: 10 })
    batches[0]?.finish()
    await settled()
    batches[1]?.finish()
    expect(await late).toBe(10)
  })

  test('idle() waits for what is in flight and for what waits', async () => {
    const { batches, run } = manualRun()
    const { submit, idle } = createGroupCommit({ key, run, maxBatch: 10 })
    void submit({ key: 'a', id: 1 })
    void submit({ key: 'a', id: 2 })
    let isIdle = false
    void idle().then(() => (isIdle = true))
    await settled()
    expect(isIdle).toBe(false)
    batches[0]?.finish()
    await settled()
    expect(isIdle).toBe(false)
    batches[1]?.finish()
    await settled()
    expect(isIdle).toBe(true)
  })
})

describe('a batch that fails', () => {
  const run = (calls: number[][]) => (batch: Request[]) => {
    calls.push(batch.map(({ id }) => id))
    const bad = batch.find(({ isBad }) => isBad === true)
    return bad ? Promise.reject(new Error(`bad ${bad.id}`)) : Promise.resolve(batch.map(({ id }) => id))
  }

  test('is run again one by one: the bad request fails with its own error, the others succeed', async () => {
    const calls: number[][] = []
    const { submit } = createGroupCommit({ key, run: run(calls), maxBatch: 10 })
    const requests = [0, 1, 2, 3].map((id) => ({ key: String(id), id, isBad: id === 2 }))
    const results = await Promise.allSettled(requests.map(submit))
    expect(
      results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    ).toEqual([0, 1, 'Error: bad 2', 3])
    expect(calls).toEqual([[0, 1, 2, 3], [0], [1], [2], [3]])
  })

  test('because the database is gone fails as a whole, without another try', async () => {
    const calls: number[][] = []
    const gone = (batch: Request[]) => {
      calls.push(batch.map(({ id }) => id))
      return Promise.reject(new AppError('database_unavailable'))
    }
    const { submit } = createGroupCommit({ key, run: gone, maxBatch: 10 })
    const results = await Promise.allSettled([0, 1, 2].map((id) => submit({ key: String(id), id })))
    expect(results.map((result) => (result.status === 'rejected' ? result.reason.code : ''))).toEqual(
      Array(3).fill('database_unavailable'),
    )
    expect(calls).toEqual([[0, 1, 2]])
  })

  test('by giving too few results fails its request as internal', async () => {
    const { submit } = createGroupCommit<Request, number>({
      key,
      run: () => Promise.resolve([]),
      maxBatch: 10,
    })
    await expect(submit({ key: 'a', id: 1 })).rejects.toMatchObject({ code: 'internal' })
  })
})

test('whatever comes: each request is answered once with its own answer, in the order of its key, never two of a key at a time', async () => {
  const arrivals = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      isBad: fc.boolean(),
      pause: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 60 },
  )
  const shape = fc.record({ maxBatch: fc.integer({ min: 1, max: 6 }), lanes: fc.integer({ min: 1, max: 3 }) })
  await fc.assert(
    fc.asyncProperty(
      arrivals,
      shape,
      fc.infiniteStream(fc.nat(3)),
      async (requests, { maxBatch, lanes }, pauses) => {
        const inFlight = new Set<string>()
        const applied = new Map<string, number[]>()
        let running = 0

        async function run(batch: (Request & { pause: number })[]): Promise<string[]> {
          running += 1
          expect(running).toBeLessThanOrEqual(lanes)
          expect(batch.length).toBeLessThanOrEqual(maxBatch)
          for (const { key: name } of batch) {
            expect(inFlight.has(name)).toBe(false)
            inFlight.add(name)
          }
          for (let pause = pauses.next().value ?? 0; pause > 0; pause -= 1) await settled()
          for (const { key: name } of batch) inFlight.delete(name)
          running -= 1
          const bad = batch.find(({ isBad }) => isBad === true)
          if (bad) throw new Error(`bad ${bad.id}`)
          for (const { key: name, id } of batch) applied.set(name, [...(applied.get(name) ?? []), id])
          return batch.map(({ id }) => `done ${id}`)
        }

        const { submit, idle } = createGroupCommit({ key, run, maxBatch, lanes })
        const answers: Promise<string>[] = []
        for (const [id, request] of requests.entries()) {
          for (let pause = request.pause; pause > 1; pause -= 1) await settled()
          answers.push(submit({ ...request, id }).catch((error: unknown) => String(error)))
        }
        const texts = await Promise.all(answers)
        await idle()
        expect(texts).toEqual(requests.map(({ isBad }, id) => (isBad ? `Error: bad ${id}` : `done ${id}`)))
        const good = requests.map((request, id) => ({ ...request, id })).filter(({ isBad }) => !isBad)
        for (const [name, ids] of applied) {
          expect(ids).toEqual(good.filter(({ key: other }) => other === name).map(({ id }) => id))
        }
        expect([...applied.values()].flat()).toHaveLength(good.length)
      },
    ),
    { numRuns: 200 },
  )
})
