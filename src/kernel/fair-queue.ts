import { type Clock, systemClock } from './clock.ts'
import { AppError } from './errors.ts'

/** Whose turn it is, and how long they may wait for it. */
export interface Turn {
  readonly lane: string
  readonly maxWaitMs: number
}

/** Work that waits for its turn. */
export interface FairQueue {
  /**
   * Runs `task` when it is its lane's turn. Throws AppError `overloaded` when too much waits already, when the wait is to be
   * expected to be too long, or when it has become so.
   */
  run<T>(turn: Turn, task: () => Promise<T>): Promise<T>
}

/** What `createFairQueue` is told. */
interface FairQueueOptions {
  /** Tasks that run at once: of all lanes, and of one. */
  width: number
  perLane: number
  /** Tasks that wait: of all lanes, and of one. */
  maxWaiting: number
  maxPerLane: number
  /** How long a task takes, as long as none has shown it. */
  expectedMs?: number
  clock?: Clock
}

type Waiter = { go: () => void }
type Lane = { running: number; waiting: Waiter[] }

/** Of what is known of the duration of tasks, the part that each one more gives. */
const NEWEST = 0.2

/**
 * Runs at most `width` tasks at once, at most `perLane` of one lane, and lets the lanes take turns: whoever sends ten
 * thousand tasks makes themselves wait and not the others.
 */
export function createFairQueue(options: FairQueueOptions): FairQueue {
  const { width, perLane, clock = systemClock } = options
  /** In the order of their turns. */
  const lanes = new Map<string, Lane>()
  let running = 0
  let waiting = 0
  let taskMs = options.expectedMs ?? 0

  function startNext(): void {
    while (running < width) {
      const [name, lane] = nextLane() ?? []
      if (name === undefined || lane === undefined) return
      lanes.delete(name)
      lanes.set(name, lane)
      running += 1
      lane.running += 1
      waiting -= 1
      lane.waiting.shift()?.go()
    }
  }

  function nextLane(): [string, Lane] | undefined {
    for (const [name, lane] of lanes) {
      if (lane.waiting.length > 0 && lane.running < perLane) return [name, lane]
    }
    return undefined
  }

  /** The wait of one more task of this lane: until then each other lane has as many turns as this one. */
  function expectedWaitMs(lane: Lane): number {
    const own = lane.waiting.length
    const ofOthers = [...lanes.values()].filter((other) => other !== lane)
    const turns = ofOthers.reduce((sum, other) => sum + Math.min(other.waiting.length, own + 1), own)
    const rounds = Math.max(
      (running + turns + 1 - width) / width,
      (lane.running + own + 1 - perLane) / perLane,
    )
    return Math.max(0, rounds) * taskMs
  }

  function turnOf({ lane: name, maxWaitMs }: Turn, lane: Lane): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        go() {
          stop()
          resolve()
        },
      }
      const stop = clock.after(maxWaitMs, () => {
        lane.waiting.splice(lane.waiting.indexOf(waiter), 1)
        waiting -= 1
        tidy(name, lane)
        reject(new AppError('overloaded'))
      })
      lane.waiting.push(waiter)
      waiting += 1
      startNext()
    })
  }

  function tidy(name: string, lane: Lane): void {
    if (lane.running === 0 && lane.waiting.length === 0) lanes.delete(name)
  }

  async function work<T>(task: () => Promise<T>): Promise<T> {
    const start = clock.now().getTime()
    try {
      return await task()
    } finally {
      taskMs += NEWEST * (clock.now().getTime() - start - taskMs)
    }
  }

  return {
    async run(turn, task) {
      const { lane: name, maxWaitMs } = turn
      const lane = lanes.get(name) ?? { running: 0, waiting: [] }
      const isFull = waiting >= options.maxWaiting || lane.waiting.length >= options.maxPerLane
      if (isFull || expectedWaitMs(lane) > maxWaitMs) throw new AppError('overloaded')
      lanes.set(name, lane)
      await turnOf(turn, lane)
      try {
        return await work(task)
      } finally {
        running -= 1
        lane.running -= 1
        tidy(name, lane)
        startNext()
      }
    },
  }
}
