import { AppError } from '../../kernel/errors.ts'

/** Work that waits for its turn. */
interface FairQueue {
  /** Runs `task` when it is this lane's turn. Throws AppError `overloaded` when too much waits already. */
  run<T>(lane: string, task: () => Promise<T>): Promise<T>
}

type Lane = { running: number; waiting: (() => void)[] }

/**
 * Runs at most `width` tasks at once, at most `perLane` of one lane, and lets the lanes take turns: whoever sends ten
 * thousand tasks makes themselves wait and not the others. At most `maxWaiting` tasks wait, `maxPerLane` of one lane.
 */
export function createFairQueue(options: {
  width: number
  perLane: number
  maxWaiting: number
  maxPerLane: number
}): FairQueue {
  /** In the order of their turns. */
  const lanes = new Map<string, Lane>()
  let running = 0
  let waiting = 0

  function startNext(): void {
    while (running < options.width) {
      const [name, lane] = nextLane() ?? []
      if (name === undefined || lane === undefined) return
      lanes.delete(name)
      lanes.set(name, lane)
      running += 1
      lane.running += 1
      waiting -= 1
      lane.waiting.shift()?.()
    }
  }

  function nextLane(): [string, Lane] | undefined {
    for (const [name, lane] of lanes) {
      if (lane.waiting.length > 0 && lane.running < options.perLane) return [name, lane]
    }
    return undefined
  }

  function finish(name: string, lane: Lane): void {
    running -= 1
    lane.running -= 1
    if (lane.running === 0 && lane.waiting.length === 0) lanes.delete(name)
    startNext()
  }

  return {
    async run(name, task) {
      const lane = lanes.get(name) ?? { running: 0, waiting: [] }
      const isFull = waiting >= options.maxWaiting || lane.waiting.length >= options.maxPerLane
      if (isFull) throw new AppError('overloaded')
      lanes.set(name, lane)
      waiting += 1
      await new Promise<void>((resolve) => {
        lane.waiting.push(resolve)
        startNext()
      })
      try {
        return await task()
      } finally {
        finish(name, lane)
      }
    },
  }
}
