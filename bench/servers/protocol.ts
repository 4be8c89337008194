import type { EventEmitter } from 'node:events'

/** What the bench asks of a server process, and what that answers, over the channel of a forked process. */
export type Ask =
  | { ask: 'usage' }
  | { ask: 'stop' }
  | { ask: 'queue'; uuids: string[]; enrollmentIds: string[] }
  | { ask: 'sql'; text: string }
export interface Usage {
  /** CPU seconds of the process so far. */
  cpu: number
  /** Megabytes resident now and at most. */
  rss: number
  maxRss: number
}

/** Serves what the bench asks; every server process ends with this call. */
export function answerBench(handlers: {
  port: number
  token?: string
  stop(): Promise<void>
  queue?(uuids: string[], enrollmentIds: string[]): Promise<void>
  sql?(text: string): Promise<void>
}): void {
  const channel = process as NodeJS.Process & EventEmitter
  channel.on('message', (message: Ask) => {
    void handle(message).then((answer) => process.send?.({ answer }))
  })
  // The bench is gone: so is the reason to run.
  channel.on('disconnect', () => process.exit(0))
  process.send?.({ ready: { port: handlers.port, token: handlers.token } })

  async function handle(message: Ask): Promise<unknown> {
    switch (message.ask) {
      case 'usage':
        return usage()
      case 'queue':
        return handlers.queue?.(message.uuids, message.enrollmentIds)
      case 'sql':
        return handlers.sql?.(message.text)
      case 'stop':
        await handlers.stop()
        setImmediate(() => process.disconnect())
        return undefined
    }
  }
}

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  const megabyte = 1024 * 1024
  return {
    cpu: (user + system) / 1e6,
    rss: Math.round(process.memoryUsage.rss() / megabyte),
    maxRss: Math.round(process.resourceUsage().maxRSS / 1024),
  }
}
