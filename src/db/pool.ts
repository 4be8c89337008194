import type { PostgresPoolClient } from 'kysely'
import { Pool, type PoolClient, type PoolConfig } from 'pg'
import type { Log } from '../kernel/log.ts'
import { AppError } from '../kernel/errors.ts'
import { translateError } from './errors.ts'
import type { Outage } from './outage.ts'
import { columnTypes } from './values.ts'

/** Makes the driver's pool; a connection that dies is replaced, never an unhandled error. */
export function createPool(config: PoolConfig, log: Log): Pool {
  const pool = new Pool({
    options: '-c TimeZone=UTC',
    application_name: 'firstboot',
    ...config,
    types: columnTypes,
  })
  const note = (error: Error): void => {
    log.warn({ event: 'database.connection_lost', reason: error.message }, 'a database connection was lost')
  }
  // Idle connections report to the pool, those at work to themselves.
  pool.on('error', note)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/**
 * The ways to the database: the driver's pool, with errors translated and an orderly end; `outage` hears how each call fared.
 * At the end the driver would leave those who wait for a connection unanswered, hence the count of them here.
 */
export function guardPool(pool: Pool, outage: Outage) {
  const known = new WeakMap<PoolClient, PostgresPoolClient>()
  let waiting = 0
  let isEnding = false
  let lastServed = (): void => undefined

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    if (isEnding) throw new AppError('database_unavailable', 'The database is closing.')
    waiting += 1
    try {
      const result = await work()
      outage.served()
      return result
    } catch (error) {
      const translated = translateError(error, outage.where)
      if (translated instanceof AppError) outage.failed(error)
      throw translated
    } finally {
      waiting -= 1
      if (waiting === 0) lastServed()
    }
  }

  async function connect(): Promise<PostgresPoolClient> {
    const client = await guarded(() => pool.connect())
    const wrapped = known.get(client) ?? wrap(client, outage)
    known.set(client, wrapped)
    return wrapped
  }

  /** Lets what has begun finish, refuses what comes, and closes the connections. */
  async function end(): Promise<void> {
    isEnding = true
    await new Promise<void>((resolve) => {
      lastServed = resolve
      if (waiting === 0) resolve()
    })
    await pool.end()
  }

  return {
    forKysely: { connect, end, options: pool.options },
    /** Runs a statement that the server prepares once per connection and name. */
    prepared: <Row extends object>(name: string, text: string, values: unknown[]): Promise<Row[]> =>
      guarded(async () => (await pool.query({ name, text, values })).rows),
    end,
  }
}

/** A connection that was lost under a statement may still look sound for a moment; nobody else is to get it. */
function wrap(client: PoolClient, outage: Outage): PostgresPoolClient {
  let isLost = false
  async function query(statement: string, parameters: readonly unknown[]): Promise<unknown> {
    try {
      return await client.query(statement, [...parameters])
    } catch (error) {
      const translated = translateError(error, outage.where)
      if (translated instanceof AppError) {
        isLost = true
        outage.failed(error)
      }
      throw translated
    }
  }
  function release(isBroken?: boolean): void {
    client.release(isLost || isBroken)
  }
  return { query: query as PostgresPoolClient['query'], release }
}
