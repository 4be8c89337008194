import { Kysely, PostgresDialect, sql } from 'kysely'
import type { Pool, PoolConfig } from 'pg'
import type { Log } from '../kernel/log.ts'
import { openEmbedded } from './embedded.ts'
import { createOutage, type Outage } from './outage.ts'
import { createPool, guardPool } from './pool.ts'
import type { Database } from './tables/index.ts'
import { runTransaction, tryAgain, type Tx } from './transaction.ts'
import { watchForSilence } from './watch.ts'

const MAX_CONNECTIONS = 10
/** Group commit keeps at most a handful of prepared statements in flight. */
const MAX_PREPARED_CONNECTIONS = 4
/**
 * A prepared statement is planned once, maybe while its tables are empty, and kept; then a plan that reads whole tables
 * would still be in use when they hold a million rows. The statements here find every row by an index, so plans without one
 * are ruled out, and there is nothing to compile. Neither are bitmaps of rows made: such a plan visits every row that was deleted
 * since the last vacuum, each time, where an index scan remembers it as dead. The same goes for statements that are planned
 * anew each time: for tables of middle size a plan that reads all of them looks cheap, and is not for a batch of a few rows.
 */
const BY_INDEX = [
  'TimeZone=UTC',
  'enable_seqscan=off',
  'enable_bitmapscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'jit=off',
]
/** For work on whole sets of rows the planner has every means. */
const BY_WHATEVER_IS_BEST = BY_INDEX.flatMap((setting) => /^(enable_\w+)=off$/.exec(setting)?.[1] ?? [])
/** For statements by name alone: others may need their parameters to be planned, as a condition on a partial index does. */
const PLANNED_ONCE = [...BY_INDEX, 'plan_cache_mode=force_generic_plan']
/** How long to wait for a connection, new or free, before the database counts as unavailable. */
const DATABASE_TIMEOUT_MS = 5_000
/** The embedded database has one connection for everyone, so waiting for one's turn is normal. */
const EMBEDDED_TURN_TIMEOUT_MS = 15_000

/** The database, or a transaction on it. */
export type Queries = Kysely<Database>

/** An open database. Everything it throws because the database is gone is AppError `database_unavailable`. */
export type Db = {
  kind: 'postgres' | 'embedded'
  kysely: Queries
  /**
   * Runs a statement by name: the server parses and plans it once per connection, so the hottest statements go here.
   * One name stands for one text. It is a transaction of its own, and is run again as `transaction` is.
   */
  prepared<Row extends object>(name: string, text: string, values: unknown[]): Promise<Row[]>
  /**
   * Runs `work` in one transaction, and again (up to 5 times in all) when a deadlock or serialization failure ended it.
   * Inside, use `trx` only: the embedded database has a single connection.
   */
  transaction<T>(work: (trx: Tx) => Promise<T>): Promise<T>
  /**
   * The same for work on sets of many rows: its statements are planned with every means (whole tables, hash joins), where those of
   * `transaction` find a few rows by an index.
   */
  bulk<T>(work: (trx: Tx) => Promise<T>): Promise<T>
  /** Connections at work and idle, and who waits for one. */
  connections(): { busy: number; idle: number; waiting: number }
  /** Throws when the database does not answer. */
  ping(): Promise<void>
  close(): Promise<void>
}

/**
 * Opens PostgreSQL at `url` or, without one, the embedded database in `dataDir` (made at the first start; AppError
 * `conflict` when another process uses it). PostgreSQL need not be there yet: `ping` tells. An embedded one that is not `durable`
 * outlives its process, not a power cut: that is for tests.
 */
export async function openDatabase(options: {
  url?: string
  dataDir: string
  durable?: boolean
  log: Log
}): Promise<Db> {
  const { url, log, durable = true } = options
  if (url !== undefined) {
    const configs = postgres(url)
    const general = createPool(configs.general, log)
    const prepared = createPool(configs.prepared, log)
    const endWatches = [
      watchForSilence(general, configs.general, log),
      watchForSilence(prepared, configs.prepared, log),
    ]
    const outage = createOutage(configs.general, log)
    return assemble('postgres', { general, prepared, outage }, log, () => endWatches.forEach((end) => end()))
  }

  const settings = durable ? BY_INDEX : [...BY_INDEX, 'fsync=off']
  const embedded = await openEmbedded(options.dataDir, settings, () =>
    log.info(
      { event: 'database.creating' },
      'making the embedded database, which takes some seconds at the first start',
    ),
  )
  const connection: PoolConfig = {
    host: 'embedded',
    port: 0,
    user: 'postgres',
    password: '',
    database: 'postgres',
    ssl: false,
    stream: () => embedded.connect(),
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: EMBEDDED_TURN_TIMEOUT_MS,
  }
  const only = createPool(connection, log)
  const outage = createOutage(connection, log)
  return assemble('embedded', { general: only, prepared: only, outage }, log, () => embedded.close())
}

/** Connections for kysely's statements, and of their own for the prepared ones, which must not be planned otherwise. */
function postgres(url: string): { general: PoolConfig; prepared: PoolConfig } {
  const general = {
    connectionString: url,
    max: MAX_CONNECTIONS,
    options: optionsOf(BY_INDEX),
    connectionTimeoutMillis: DATABASE_TIMEOUT_MS,
    keepAlive: true,
  }
  return {
    general,
    prepared: { ...general, max: MAX_PREPARED_CONNECTIONS, options: optionsOf(PLANNED_ONCE) },
  }
}

function assemble(
  kind: Db['kind'],
  connections: { general: Pool; prepared: Pool; outage: Outage },
  log: Log,
  afterClose: () => void | Promise<void>,
): Db {
  const { general, prepared, outage } = connections
  const pool = guardPool(general, outage)
  const hot = prepared === general ? pool : guardPool(prepared, outage)
  const kysely = new Kysely<Database>({ dialect: new PostgresDialect({ pool: pool.forKysely }) })
  let closing: Promise<void> | undefined

  function noteEffectError(error: unknown): void {
    log.error({ event: 'database.effect_failed', err: error }, 'what should follow a transaction failed')
  }

  async function close(): Promise<void> {
    await hot.end()
    if (pool !== hot) await pool.end()
    await afterClose()
  }

  return {
    kind,
    kysely,
    prepared: (name, text, values) => tryAgain(() => hot.prepared(name, text, values)),
    transaction: (work) => runTransaction(kysely, work, noteEffectError),
    bulk: (work) =>
      runTransaction(
        kysely,
        async (trx) => {
          const set = BY_WHATEVER_IS_BEST.map((name) => sql`set_config(${name}, 'on', true)`)
          await sql`select ${sql.join(set)}`.execute(trx)
          return work(trx)
        },
        noteEffectError,
      ),
    connections() {
      const pools = prepared === general ? [general] : [general, prepared]
      const total = (field: 'idleCount' | 'totalCount' | 'waitingCount') =>
        pools.reduce((sum, each) => sum + each[field], 0)
      const idle = total('idleCount')
      return { busy: total('totalCount') - idle, idle, waiting: total('waitingCount') }
    },
    async ping() {
      await sql`select 1`.execute(kysely)
    },
    close: () => (closing ??= close()),
  }
}

function optionsOf(settings: readonly string[]): string {
  return settings.map((setting) => `-c ${setting}`).join(' ')
}
