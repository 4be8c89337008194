import { addTime, type Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'

/** How long a process is believed to live after it last said so. */
const LIFE_SECONDS = 20
const BEAT_MS = 5_000

/** Until when a process that says so at `now` is believed to live. */
export function lifeEnd(now: Date): Date {
  return addTime(now, LIFE_SECONDS, 'second')
}

/** Says again and again that this process lives, until the returned function is called. */
export function beat(deps: { clock: Clock; log: Log }, say: (until: Date) => Promise<unknown>): () => void {
  const { clock, log } = deps
  let isOver = false
  let cancel: () => void = () => undefined

  function next(): void {
    cancel = clock.after(BEAT_MS, () => {
      say(lifeEnd(clock.now()))
        .catch((error: unknown) =>
          log.warn({ event: 'ade.heartbeat_failed', err: error }, 'a heartbeat failed'),
        )
        .finally(() => {
          if (!isOver) next()
        })
    })
  }

  next()
  return () => {
    isOver = true
    cancel()
  }
}
