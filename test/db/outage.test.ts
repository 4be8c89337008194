import { sql } from 'kysely'
import { Pool } from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { createOutage } from '../../src/db/outage.ts'
import { guardPool } from '../../src/db/pool.ts'
import { openDatabase } from '../../src/db/index.ts'
import type { Db } from '../../src/db/index.ts'
import { watchForSilence } from '../../src/db/watch.ts'
import { testDatabase } from '../support/database.ts'
import type { TestDatabase } from '../support/database.ts'
import { tcpProxy } from '../support/tcp-proxy.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'

const log = pino({ level: 'silent' })
const gone = { name: 'AppError', code: 'database_unavailable' }

let direct: TestDatabase
let proxy: TcpProxy
let url: string
let db: Db

beforeAll(async () => {
  direct = await testDatabase('postgres')
  const address = new URL(direct.location.url ?? '')
  proxy = await tcpProxy(Number(address.port))
  url = Object.assign(address, { port: String(proxy.port) }).toString()
})

afterAll(async () => {
  await proxy.cut()
  await direct.close()
})

beforeEach(async () => {
  await proxy.restore()
  db = await openDatabase({ url, dataDir: '', log })
})

afterEach(async () => {
  await db.close()
  await endOthers()
})

/** What an administrator does; a statement goes on in the server when its client is lost, too. */
async function endOthers(): Promise<void> {
  await sql`
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`.execute(direct.kysely)
}

const sleep = (seconds: number) => sql`select pg_sleep(${seconds})`

/** Answers when `count` statements sleep in the database. */
async function untilAsleep(count: number): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'
        and datname = current_database()`.execute(direct.kysely)
    if (rows[0]?.n === count) return
  }
}

test('a database that goes away and comes back: database_unavailable meanwhile, then everything works', async () => {
  await db.ping()
  const running = [
    sleep(60).execute(db.kysely),
    db.prepared('sleep', 'select pg_sleep(60)', []),
    db.transaction((trx) => sleep(60).execute(trx)),
  ]
  const answers = Promise.allSettled(running)
  await untilAsleep(3)
  await proxy.cut()
  for (const answer of await answers) expect(answer).toMatchObject({ status: 'rejected', reason: gone })

  await expect(db.ping()).rejects.toMatchObject(gone)
  await expect(db.prepared('one', 'select 1', [])).rejects.toMatchObject(gone)
  await expect(db.transaction((trx) => sleep(0).execute(trx))).rejects.toMatchObject(gone)

  await proxy.restore()
  await db.ping()
  expect(await db.prepared('one', 'select 1 as n', [])).toEqual([{ n: 1 }])
  expect(await db.transaction(async (trx) => (await sql`select 2 as n`.execute(trx)).rows)).toEqual([
    { n: 2 },
  ])
})

test('a connection that an administrator ends at work is never given to the next one', async () => {
  for (let round = 0; round < 20; round++) {
    const next = sleep(60)
      .execute(db.kysely)
      .catch(async (error: unknown) => {
        expect(error).toMatchObject(gone)
        // At once, when the connection's own end may still be on its way.
        await db.ping()
      })
    await untilAsleep(1)
    await endOthers()
    await next
  }
})

test('connections that an administrator ends, at work and idle, are replaced', async () => {
  const lines: string[] = []
  const telling = pino({ level: 'warn' }, { write: (line) => lines.push(line) })
  const told = await openDatabase({ url, dataDir: '', log: telling })
  await Promise.all([told.ping(), told.ping()])
  const work = sleep(60).execute(told.kysely)
  const outcome = expect(work).rejects.toMatchObject(gone)
  await untilAsleep(1)
  await endOthers()
  await outcome
  // The idle one is found to be dead as soon as the news of it are here.
  await expect.poll(() => lines.join()).toContain('database.connection_lost')
  await Promise.all([told.ping(), told.ping()])
  await told.close()
})

test('a database that was never there does not keep openDatabase from working later', async () => {
  await proxy.cut()
  const early = await openDatabase({ url, dataDir: '', log })
  await expect(early.ping()).rejects.toMatchObject(gone)
  await proxy.restore()
  await early.ping()
  await early.close()
})

test('a wrong statement is not taken for a lost database', async () => {
  await expect(sql`selec 1`.execute(db.kysely)).rejects.toMatchObject({ code: '42601' })
})

test('after close nothing is accepted', async () => {
  const closed = await openDatabase({ url, dataDir: '', log })
  await closed.close()
  await expect(closed.ping()).rejects.toMatchObject(gone)
  await expect(closed.prepared('one', 'select 1', [])).rejects.toMatchObject(gone)
})

/** A pool that is watched; a server that does not answer for `probeMs` is silent. */
function watchedPool(probeMs: number) {
  const config = { connectionString: url, max: 2, connectionTimeoutMillis: 60_000 }
  const connections = new Pool(config)
  connections.on('error', () => undefined)
  connections.on('connect', (client) => client.on('error', () => undefined))
  const endWatch = watchForSilence(connections, config, log, { intervalMs: 20, suspiciousMs: 100, probeMs })
  onTestFinished(async () => {
    endWatch()
    await connections.end()
  })
  return guardPool(connections, createOutage(config, log))
}

test('a slow statement on a living server is left alone', async () => {
  const pool = watchedPool(60_000)
  expect(await pool.prepared('slow', "select pg_sleep(0.6), 'slow' as answer", [])).toMatchObject([
    { answer: 'slow' },
  ])
})

test('a server that falls silent is noticed', async () => {
  const pool = watchedPool(500)
  const stuck = expect(pool.prepared('stuck', 'select pg_sleep(60)', [])).rejects.toMatchObject(gone)
  await untilAsleep(1)
  proxy.mute()
  await stuck
  await proxy.restore()
  await expect.poll(() => pool.prepared('back', 'select 1 as n', [])).toEqual([{ n: 1 }])
})
