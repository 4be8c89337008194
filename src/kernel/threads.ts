import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import type { MessagePort, ResourceLimits, Transferable } from 'node:worker_threads'
import { systemClock, type Clock } from './clock.ts'
import { AppError, describeError, type ErrorCode } from './errors.ts'

/** Tasks that may wait for a free thread, and what they hold; more are refused as `overloaded`. */
const MAX_WAITING = 1000
const MAX_WAITING_BYTES = 256 * 1024 * 1024
/**
 * Milliseconds after which a thread without work ends: each holds 25 to 35 MB, or 100 after a message of 15 MB, which V8 gives
 * back some 8 seconds after its end. It starts again in a tenth of a second.
 */
const IDLE_THREAD_MS = 2_000

/** A fixed number of worker threads that run one task each at a time. */
export type ThreadPool = ReturnType<typeof createThreadPool>

/** How a task goes to its thread. */
interface TaskOptions {
  /** What is moved there and not copied. */
  transfer?: readonly Transferable[]
  /** Whose task it is: lanes that wait are served by turns, one task each. All others have one lane together. */
  lane?: string
  /** What it holds while it waits. */
  bytes?: number
}

interface Job extends Required<TaskOptions> {
  task: unknown
  resolve: (value: never) => void
  reject: (error: Error) => void
}

type Answer = { result: unknown } | { failure: { code: ErrorCode | undefined; message: string } }

/**
 * Makes a pool over a script that calls `serveTasks`. Threads start when needed, end after two seconds without
 * work, are replaced when they die (also of more memory than `limits` allow), and keep the process alive only while
 * they work. Name the script with the extension of the asking file
 * (`extname(import.meta.filename)`), so that it is found as .ts and as built .js.
 */
export function createThreadPool(options: {
  script: URL
  size: number
  maxWaiting?: number
  limits?: ResourceLimits
  clock?: Clock
}) {
  const { script, size, maxWaiting = MAX_WAITING, limits, clock = systemClock } = options
  const lanes = createLanes()
  /** The one that worked last is taken first, so that those that are not needed end. */
  const idle: { worker: Worker; stay: () => void }[] = []
  const busy = new Map<Worker, Job>()
  let closed = false

  function dispatch(): void {
    while (idle.length > 0 || busy.size < size) {
      const job = lanes.next()
      if (job === undefined) return
      start(wake() ?? spawn(), job)
    }
  }

  function wake(): Worker | undefined {
    const last = idle.pop()
    last?.stay()
    return last?.worker
  }

  function rest(worker: Worker): void {
    const retire = () => {
      drop(worker, undefined)
      void worker.terminate()
    }
    idle.push({ worker, stay: clock.after(IDLE_THREAD_MS, retire) })
  }

  function start(worker: Worker, job: Job): void {
    try {
      worker.postMessage(job.task, job.transfer)
    } catch (error) {
      rest(worker)
      job.reject(new AppError('internal', 'The task cannot be sent to a thread', { cause: error }))
      return
    }
    busy.set(worker, job)
    worker.ref()
  }

  function spawn(): Worker {
    const worker = new Worker(script, limits === undefined ? {} : { resourceLimits: limits })
    worker.unref()
    worker.on('message', (answer: Answer) => {
      const job = busy.get(worker)
      busy.delete(worker)
      worker.unref()
      rest(worker)
      if (job !== undefined) settle(job, answer)
      dispatch()
    })
    worker.on('error', (error) => drop(worker, error))
    worker.on('exit', () => drop(worker, undefined))
    return worker
  }

  function drop(worker: Worker, cause: unknown): void {
    const index = idle.findIndex((resting) => resting.worker === worker)
    if (index >= 0) idle.splice(index, 1)[0]?.stay()
    busy.get(worker)?.reject(new AppError('internal', 'A worker thread ended', { cause }))
    busy.delete(worker)
    if (!closed) dispatch()
  }

  return {
    /**
     * Runs the task (a structured-cloneable value) and gives the handler's result. Rejects with the handler's error
     * (an AppError keeps its code), with `internal` when the thread dies, `overloaded` when too many wait.
     */
    async run<T>(task: unknown, { transfer = [], lane = '', bytes = 0 }: TaskOptions = {}): Promise<T> {
      if (closed) throw isClosed()
      if (lanes.waiting() >= maxWaiting || lanes.bytes() + bytes > MAX_WAITING_BYTES)
        throw new AppError('overloaded', 'Too many tasks wait for a thread')
      return new Promise((resolve, reject) => {
        lanes.add({ task, transfer, lane, bytes, resolve, reject })
        dispatch()
      })
    },
    /** Ends the threads; what has not finished is rejected as `overloaded`. */
    async close() {
      closed = true
      for (const job of [...lanes.clear(), ...busy.values()]) job.reject(isClosed())
      const workers = [...busy.keys()]
      for (let worker = wake(); worker !== undefined; worker = wake()) workers.push(worker)
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}

/** Jobs that wait, in lanes: the first job of the first lane is the next, and the lane then goes behind the others. */
function createLanes() {
  const lanes = new Map<string, Job[]>()
  let waiting = 0
  let bytes = 0

  return {
    waiting: () => waiting,
    bytes: () => bytes,
    add(job: Job): void {
      waiting += 1
      bytes += job.bytes
      const lane = lanes.get(job.lane)
      if (lane === undefined) lanes.set(job.lane, [job])
      else lane.push(job)
    },
    next(): Job | undefined {
      const [first] = lanes
      if (first === undefined) return undefined
      const [name, jobs] = first
      const job = jobs.shift()
      lanes.delete(name)
      if (jobs.length > 0) lanes.set(name, jobs)
      if (job === undefined) return undefined
      waiting -= 1
      bytes -= job.bytes
      return job
    },
    clear(): Job[] {
      const left = [...lanes.values()].flat()
      lanes.clear()
      return left
    },
  }
}

function isClosed(): AppError {
  return new AppError('overloaded', 'The threads are closed')
}

/** The worker's side: answers each task with what the handler returns, one after the other. */
export function serveTasks(
  handler: (
    task: never,
  ) =>
    | { result: unknown; transfer?: readonly Transferable[] }
    | Promise<{ result: unknown; transfer?: readonly Transferable[] }>,
): void {
  const port = parentPort
  if (isMainThread || port === null) throw new AppError('internal', 'serveTasks is for worker threads')
  async function work(target: MessagePort, task: unknown): Promise<void> {
    try {
      const { result, transfer = [] } = await handler(task as never)
      target.postMessage({ result } satisfies Answer, [...transfer])
    } catch (error) {
      const code = error instanceof AppError ? error.code : undefined
      const message = error instanceof Error ? error.message : String(error)
      target.postMessage({ failure: { code, message } } satisfies Answer, [])
    }
  }

  port.on('message', (task: unknown) => void work(port, task))
}

function settle(job: Job, answer: Answer): void {
  if ('result' in answer) job.resolve(answer.result as never)
  else {
    const { code = 'internal', message } = answer.failure
    job.reject(new AppError(code, message === '' ? describeError(code).text : message))
  }
}
