import type { EventEmitter } from 'node:events'

/** A device of the crowd: its enrollment id, and which of the given keys it has. */
export interface CrowdMember {
  id: string
  keyIndex: number
}

/** What the bench asks of a server process, and what that answers, over the channel of a forked process. */
export type Ask =
  | { ask: 'usage' }
  | { ask: 'stop' }
  | { ask: 'queue'; uuids: string[]; enrollmentIds: string[] }
  | { ask: 'sql'; text: string }
  | { ask: 'rows' }
  | { ask: 'crowd'; members: CrowdMember[]; spkis: string[]; topic: string }
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
  /** How many rows each table has. */
  rows?(): Promise<Record<string, number>>
  /** Enrols devices by SQL, for keys given as SPKI in base64; gives their certificates in base64. */
  crowd?(members: CrowdMember[], spkis: string[], topic: string): Promise<string[]>
}): void {
  const channel = process as NodeJS.Process & EventEmitter
  channel.on('message', (message: Ask) => {
    handle(message).then(
      (answer) => process.send?.({ answer }),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
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
      case 'rows':
        return handlers.rows?.()
      case 'crowd':
        return handlers.crowd?.(message.members, message.spkis, message.topic)
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
