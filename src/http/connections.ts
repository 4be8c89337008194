import type { Server, Socket } from 'node:net'
import type { Clock } from '../kernel/clock.ts'
import { openFileLimit } from '../kernel/file-limit.ts'
import type { Log } from '../kernel/log.ts'

/** The part of the process's files that is left to everything else: the database, Apple, directories, files. */
const RESERVED_PART = 4
const MAX_RESERVED = 1_024
/** More than a process serves well; each costs memory. */
const MOST_CONNECTIONS = 20_000
/** The part of the connections that those may have that never sent a whole request. */
const SILENT_PART = 2
/** How often dropped connections are told of. */
const TELL_INTERVAL_MS = 60_000

/** How many connections all listeners of this process may have together. */
export function connectionBudget(limit = openFileLimit()): number {
  const left = limit - Math.min(MAX_RESERVED, Math.ceil(limit / RESERVED_PART))
  return Math.max(1, Math.min(MOST_CONNECTIONS, left))
}

/**
 * Keeps a listener below `max` connections, so that the process never runs out of files. Those who have not sent a request
 * yet make room for newcomers, the oldest first, when they hold half of the places; when all are taken, those that rest
 * between two requests do. What is dropped is told in the log, once a minute with its number.
 */
export function boundConnections(
  server: Server & { closeIdleConnections(): void },
  { max, log, clock }: { max: number; log: Log; clock: Clock },
): void {
  const silent = new Map<string, Socket>()
  const spoken = new WeakSet<Socket>()
  const mostSilent = Math.max(1, Math.floor(max / SILENT_PART))
  let dropped = 0
  let toldAt = Number.NEGATIVE_INFINITY

  function tell(): void {
    dropped += 1
    const now = clock.now().getTime()
    if (now - toldAt < TELL_INTERVAL_MS) return
    log.warn(
      { event: 'http.connections_dropped', dropped, max_connections: max },
      'connections were closed because there were too many',
    )
    toldAt = now
    dropped = 0
  }

  server.maxConnections = max
  server.on('connection', (socket: Socket) => {
    const key = nameOf(socket)
    silent.set(key, socket)
    socket.once('close', () => silent.delete(key))
    const [oldest] = silent.size > mostSilent ? silent.values() : []
    if (oldest === undefined) return
    oldest.destroy()
    tell()
  })
  server.on('request', ({ socket }: { socket: Socket }) => {
    if (spoken.has(socket)) return
    spoken.add(socket)
    silent.delete(nameOf(socket))
  })
  server.on('drop', () => {
    server.closeIdleConnections()
    tell()
  })
}

/** The same for a connection and for the TLS connection in it. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`
}
