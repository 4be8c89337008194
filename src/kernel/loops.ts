import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** Background work that is done again and again. */
export interface Job {
  name: string
  /** Milliseconds from the end of one run to the start of the next. */
  every: number
  run: () => Promise<unknown>
}

/** Share of the interval by which runs are spread, so that many processes do not all run at once. */
const SPREAD = 0.1

/**
 * Runs jobs until stopped. A job never overlaps itself in this process; one that fails is logged and tried again at
 * its next turn, so each must be safe to run on several processes at a time.
 */
export function startLoops(deps: { jobs: readonly Job[]; clock: Clock; log: Log; metrics: Metrics }) {
  const { jobs, clock, log, metrics } = deps
  const cancels = new Map<string, () => void>()
  const running = new Set<Promise<void>>()
  let stopped = false

  async function runOnce(job: Job): Promise<void> {
    try {
      await job.run()
      metrics.jobs.inc({ job: job.name, outcome: 'ok' })
    } catch (error) {
      metrics.jobs.inc({ job: job.name, outcome: 'failed' })
      log.error({ event: 'job.failed', job: job.name, err: error }, 'a background job failed')
    }
  }

  function schedule(job: Job, wait: number): void {
    if (stopped) return
    cancels.set(
      job.name,
      clock.after(wait, () => {
        const run = runOnce(job).finally(() => {
          running.delete(run)
          schedule(job, job.every * (1 - SPREAD + 2 * SPREAD * Math.random()))
        })
        running.add(run)
      }),
    )
  }

  for (const job of jobs) schedule(job, job.every * Math.random())

  return {
    /** Starts no more runs and answers when those in progress are done. */
    async stop(): Promise<void> {
      stopped = true
      for (const cancel of cancels.values()) cancel()
      await Promise.all(running)
    },
  }
}
