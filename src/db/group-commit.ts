import { AppError } from '../kernel/errors.ts'

const DEFAULT_MAX_WAITING = 10_000

/** See `createGroupCommit`. */
type GroupCommit<Req, Res> = {
  /** Answers when the request's batch is committed. Rejects with the request's own error, or `overloaded`. */
  submit(request: Req): Promise<Res>
  /** Answers when nothing waits and nothing is in flight. */
  idle(): Promise<void>
}

/** How requests become batches. */
type GroupCommitOptions<Req, Res> = {
  /** Requests with the same key never share a batch or run side by side; they run in the order of their coming. */
  key: (request: Req) => string
  /** One statement (or transaction) for the batch; gives one result per request, in the same order. */
  run: (batch: Req[]) => Promise<Res[]>
  maxBatch: number
  /** Batches in flight at a time. */
  lanes?: number
  /** Requests beyond these are refused as `overloaded`. */
  maxWaiting?: number
}

type Entry<Req, Res> = {
  request: Req
  key: string
  resolve: (result: Res) => void
  reject: (error: unknown) => void
}

/**
 * Coalesces requests into batches: with a lane free, what comes in one turn of the event loop runs together at its end; what
 * comes while all lanes are at work is collected and goes into the next batch. So an idle server adds no wait, and a busy one
 * pays for one commit where it would have paid for many. When a batch fails its requests are run again one by one, so that one bad
 * request fails alone, except when the database is gone: then all fail with that.
 */
export function createGroupCommit<Req, Res>(options: GroupCommitOptions<Req, Res>): GroupCommit<Req, Res> {
  const { key: keyOf, run, maxBatch, lanes = 1, maxWaiting = DEFAULT_MAX_WAITING } = options
  /** What waits, by key; a key in `ready` has something waiting and nothing in flight. */
  const queues = new Map<string, Entry<Req, Res>[]>()
  const ready = new Set<string>()
  const inFlight = new Set<string>()
  const idlers: (() => void)[] = []
  let waiting = 0
  let busyLanes = 0
  let isScheduled = false

  function submit(request: Req): Promise<Res> {
    if (waiting >= maxWaiting) return Promise.reject(new AppError('overloaded'))
    return new Promise((resolve, reject) => {
      const key = keyOf(request)
      const entry = { request, key, resolve, reject }
      const queue = queues.get(key)
      if (queue === undefined) queues.set(key, [entry])
      else queue.push(entry)
      waiting += 1
      if (!inFlight.has(key)) ready.add(key)
      schedule()
    })
  }

  function schedule(): void {
    if (isScheduled || busyLanes === lanes) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      dispatch()
      tellIdle()
    })
  }

  function dispatch(): void {
    while (busyLanes < lanes && ready.size > 0) {
      const batch = take()
      busyLanes += 1
      void work(run, batch).finally(() => {
        busyLanes -= 1
        for (const { key } of batch) release(key)
        dispatch()
        tellIdle()
      })
    }
  }

  function tellIdle(): void {
    if (busyLanes === 0 && !isScheduled) for (const wake of idlers.splice(0)) wake()
  }

  function take(): Entry<Req, Res>[] {
    const batch: Entry<Req, Res>[] = []
    for (const key of ready) {
      if (batch.length === maxBatch) break
      const queue = queues.get(key) ?? []
      const entry = queue.shift()
      if (queue.length === 0) queues.delete(key)
      ready.delete(key)
      if (entry === undefined) continue
      inFlight.add(key)
      batch.push(entry)
    }
    waiting -= batch.length
    return batch
  }

  function release(key: string): void {
    inFlight.delete(key)
    if (queues.has(key)) ready.add(key)
  }

  async function idle(): Promise<void> {
    if (busyLanes === 0 && !isScheduled) return
    await new Promise<void>((resolve) => idlers.push(resolve))
  }

  return { submit, idle }
}

type Run<Req, Res> = (batch: Req[]) => Promise<Res[]>

/** Runs a batch and answers each of its requests; never rejects. */
async function work<Req, Res>(run: Run<Req, Res>, batch: Entry<Req, Res>[]): Promise<void> {
  try {
    await settle(run, batch)
  } catch (error) {
    if (batch.length === 1 || isGone(error)) return refuse(batch, error)
    await workOneByOne(run, batch)
  }
}

async function workOneByOne<Req, Res>(run: Run<Req, Res>, batch: Entry<Req, Res>[]): Promise<void> {
  for (const [index, entry] of batch.entries()) {
    try {
      await settle(run, [entry])
    } catch (error) {
      if (isGone(error)) return refuse(batch.slice(index), error)
      entry.reject(error)
    }
  }
}

async function settle<Req, Res>(run: Run<Req, Res>, batch: Entry<Req, Res>[]): Promise<void> {
  const results = await run(batch.map(({ request }) => request))
  if (results.length !== batch.length)
    throw new AppError('internal', `${batch.length} requests got ${results.length} results`)
  for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Res)
}

function refuse(entries: { reject: (error: unknown) => void }[], error: unknown): void {
  for (const { reject } of entries) reject(error)
}

function isGone(error: unknown): boolean {
  return error instanceof AppError && error.code === 'database_unavailable'
}
