import { Client, type Pool, type PoolClient, type PoolConfig } from 'pg'
import type { Log } from '../kernel/log.ts'

const DEFAULT_PACE = { intervalMs: 5_000, suspiciousMs: 10_000, probeMs: 5_000 }

/**
 * Notices a server that has vanished without closing its connections (a pulled cable, a frozen host): when a connection
 * has been at work for `suspiciousMs`, a fresh one asks for a sign of life, and without an answer within `probeMs` the
 * old ones are ended, so that their callers learn it now and not from TCP a quarter of an hour later. A slow statement
 * on a living server is left alone. Gives the function that ends the watch.
 */
export function watchForSilence(pool: Pool, config: PoolConfig, log: Log, pace = DEFAULT_PACE): () => void {
  const atWorkSince = new Map<PoolClient, number>()
  let isProbing = false
  pool.on('acquire', (client) => atWorkSince.set(client, performance.now()))
  pool.on('release', (_error, client) => atWorkSince.delete(client))
  pool.on('remove', (client) => atWorkSince.delete(client))

  function suspicious(): PoolClient[] {
    const before = performance.now() - pace.suspiciousMs
    return [...atWorkSince].filter(([, since]) => since < before).map(([client]) => client)
  }

  async function check(): Promise<void> {
    if (isProbing || suspicious().length === 0) return
    isProbing = true
    try {
      if (await answers(config, pace.probeMs)) return
      const silent = suspicious()
      log.error(
        { event: 'database.silent', connections: silent.length },
        'the database does not answer any more',
      )
      // With a statement at work this destroys the socket, which fails the statement.
      for (const client of silent) void (client as unknown as Client).end().catch(() => undefined)
    } finally {
      isProbing = false
    }
  }

  const timer = setInterval(() => void check(), pace.intervalMs).unref()
  return () => {
    clearInterval(timer)
  }
}

/** Any answer is a sign of life, a refusal too. */
async function answers(config: PoolConfig, timeoutMs: number): Promise<boolean> {
  const client = new Client({ ...config, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } catch (error) {
    return error instanceof Error && 'severity' in error
  } finally {
    void client.end().catch(() => undefined)
  }
}
