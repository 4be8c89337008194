import { sql, type Selectable } from 'kysely'
import { addTime, type Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Db } from './database.ts'
import type { Database } from './tables/index.ts'
import type { Tx } from './transaction.ts'

/** How long a worker is believed to live after it last said so. */
const LIFE_SECONDS = 20
const RENEW_MS = 5_000

/** When a lease taken or renewed at `now` runs out. */
export function leaseEnd(now: Date): Date {
  return addTime(now, LIFE_SECONDS, 'second')
}

/** Leases on the rows of one table. */
export type Leases<T extends keyof Database> = ReturnType<typeof createLeases<T>>

/**
 * Rows that one worker has at a time. The row says who that is and until when; the worker renews that as long as it
 * lives, and when it has died another one takes the row after 20 seconds. `worker` names the one that asks here; `key`,
 * `holder` and `until` are columns of the table.
 */
export function createLeases<T extends keyof Database>(
  deps: { db: Db; clock: Clock; log: Log },
  of: { table: T; worker: string; key?: string; holder?: string; until?: string },
) {
  const { db, clock, log } = deps
  const { worker } = of
  const table = sql.table(of.table)
  const key = sql.ref(of.key ?? 'id')
  const holder = sql.ref(of.holder ?? 'worker')
  const until = sql.ref(of.until ?? 'worker_until')

  /** Takes a row, or keeps it; the row, or undefined when another worker has it or there is none. */
  async function take(id: string): Promise<Selectable<Database[T]> | undefined> {
    const now = clock.now()
    const { rows } = await sql<Selectable<Database[T]>>`
      update ${table} set ${holder} = ${worker}, ${until} = ${leaseEnd(now)}
      where ${key} = ${id} and (${holder} is null or ${holder} = ${worker} or ${until} <= ${now})
      returning *`.execute(db.kysely)
    return rows[0]
  }

  async function renew(id: string): Promise<void> {
    await sql`
      update ${table} set ${until} = ${leaseEnd(clock.now())}
      where ${key} = ${id} and ${holder} = ${worker}`.execute(db.kysely)
  }

  /** Renews the lease on a row that this worker has, until the returned function is called. */
  function keep(id: string): () => void {
    let isOver = false
    let cancel = next()

    function next(): () => void {
      return clock.after(RENEW_MS, () => {
        renew(id)
          .catch((error: unknown) =>
            log.warn({ event: 'lease.renewal_failed', err: error }, 'a lease could not be renewed'),
          )
          .finally(() => {
            if (!isOver) cancel = next()
          })
      })
    }

    return () => {
      isOver = true
      cancel()
    }
  }

  /** Leaves a row to whoever takes it next. */
  async function release(id: string): Promise<void> {
    await sql`
      update ${table} set ${holder} = null, ${until} = null
      where ${key} = ${id} and ${holder} = ${worker}`.execute(db.kysely)
  }

  return {
    take,
    keep,
    release,
    /** Whether this worker still has a row; if so, nobody else takes it until the transaction ends. */
    async holds(trx: Tx, id: string): Promise<boolean> {
      const { rows } = await sql`
        select from ${table} where ${key} = ${id} and ${holder} = ${worker} for update`.execute(trx)
      return rows.length > 0
    },
    /** Does `work` with a row and releases it; undefined, and nothing done, when another worker has it. */
    async hold<R>(id: string, work: (row: Selectable<Database[T]>) => Promise<R>): Promise<R | undefined> {
      const row = await take(id)
      if (row === undefined) return undefined
      const letGo = keep(id)
      try {
        return await work(row)
      } finally {
        letGo()
        await release(id)
      }
    },
  }
}
