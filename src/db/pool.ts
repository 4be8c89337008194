import type { PostgresPool, PostgresPoolClient } from 'kysely'
import { Pool } from 'pg'
import type { PoolClient, PoolConfig } from 'pg'
import type { Log } from '../kernel/log.ts'
import { translateError } from './errors.ts'
import { columnTypes } from './values.ts'

/** Makes the driver's pool; a connection that dies is logged and replaced, never an unhandled error. */
export function createPool(config: PoolConfig, log: Log): Pool {
  const pool = new Pool({ ...config, types: columnTypes, application_name: 'firstboot' })
  const note = (error: Error): void => {
    log.warn({ event: 'database.connection_lost', err: error }, 'a database connection was lost')
  }
  // Idle connections report to the pool, those at work to themselves.
  pool.on('error', note)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

/** Runs a statement that the server prepares once per connection and name. */
export async function queryPrepared<Row extends object>(
  pool: Pool,
  name: string,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  try {
    return (await pool.query<Row>({ name, text, values })).rows
  } catch (error) {
    throw translateError(error)
  }
}

/** The pool as kysely wants it, with the errors of a lost database translated. */
export function forKysely(pool: Pool): PostgresPool {
  const known = new WeakMap<PoolClient, PostgresPoolClient>()
  async function connect(): Promise<PostgresPoolClient> {
    try {
      const client = await pool.connect()
      const guarded = known.get(client) ?? guard(client)
      known.set(client, guarded)
      return guarded
    } catch (error) {
      throw translateError(error)
    }
  }
  return { connect, end: () => pool.end(), options: pool.options }
}

function guard(client: PoolClient): PostgresPoolClient {
  async function query(statement: string, parameters: readonly unknown[]): Promise<unknown> {
    try {
      return await client.query(statement, [...parameters])
    } catch (error) {
      throw translateError(error)
    }
  }
  function release(isBroken?: boolean): void {
    client.release(isBroken)
  }
  return { query: query as PostgresPoolClient['query'], release }
}
