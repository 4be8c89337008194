import { Client, type PoolConfig } from 'pg'
import type { Log } from '../kernel/log.ts'

const TELL_EVERY_MS = 60_000

/** Tells of a lost database once, once a minute while it stays away, and once when it is back. */
export type Outage = ReturnType<typeof createOutage>

/** Of the database that this configuration leads to; it is not connected to here. */
export function createOutage(config: PoolConfig, log: Log) {
  // The driver reads addresses in all their forms.
  const { host, port } = new Client(config)
  const where = config.stream === undefined ? `${host}:${port}` : 'the data folder'
  let since: number | undefined
  let told = 0

  function tell(event: string, error: unknown, text: string): void {
    told = performance.now()
    log.error({ event, database: where, reason: reasonOf(error) }, text)
  }

  return {
    /** Where the database is, for messages: `host:port`. */
    where,
    failed(error: unknown): void {
      if (since === undefined) {
        since = performance.now()
        tell('database.lost', error, `the database at ${where} cannot be reached: ${reasonOf(error)}`)
      } else if (performance.now() - told >= TELL_EVERY_MS) {
        const minutes = Math.round((performance.now() - since) / TELL_EVERY_MS)
        tell('database.still_lost', error, `the database at ${where} has not been reached for ${minutes} min`)
      }
    },
    served(): void {
      if (since === undefined) return
      const seconds = Math.round((performance.now() - since) / 1_000)
      since = undefined
      log.info({ event: 'database.found', database: where }, `the database is back after ${seconds} s`)
    },
  }
}

/** What happened in a few words; where several addresses of one name were tried, at the first of them. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message : String(error)
}
