import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import { pino } from 'pino'
import { expect, inject, onTestFinished, test } from 'vitest'
import { openEmbedded } from '../../src/db/embedded.ts'
import { migrateToLatest, openDatabase } from '../../src/db/index.ts'
import type { Db } from '../../src/db/index.ts'
import { copyEmbedded } from '../support/database.ts'

const log = pino({ level: 'silent' })
let lastFolder = 0

function newFolder(): string {
  return join(inject('runFolder'), `embedded-${process.pid}-${++lastFolder}`)
}

/** A data folder with a migrated database and an empty table `notes (n)`. */
async function preparedFolder(): Promise<string> {
  const dataDir = newFolder()
  copyEmbedded(dataDir)
  const db = await openDatabase({ dataDir, log })
  await sql`create table notes (n int8 primary key)`.execute(db.kysely)
  await db.close()
  return dataDir
}

function hold(dataDir: string): ChildProcess {
  const child = fork(new URL('embedded-holder.ts', import.meta.url), [dataDir], { execArgv: [] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function open(dataDir: string): Promise<Db> {
  const db = await openDatabase({ dataDir, log })
  onTestFinished(() => db.close())
  return db
}

test('the first start makes a database that only its owner can read, and leaves nothing else behind', async () => {
  const dataDir = newFolder()
  mkdirSync(join(dataDir, 'database.new-interrupted', 'base'), { recursive: true })
  const db = await open(dataDir)
  expect(await migrateToLatest(db)).not.toEqual([])
  expect(readdirSync(dataDir).toSorted()).toEqual(['database', 'database.lock', 'database.pid'])
  expect(statSync(join(dataDir, 'database')).mode & 0o777).toBe(0o700)
})

test('what was written is there after closing and opening, and closing twice is harmless', async () => {
  const dataDir = await preparedFolder()
  const first = await openDatabase({ dataDir, log })
  await first.prepared('insert', 'insert into notes values ($1)', [7])
  await Promise.all([first.close(), first.close()])
  const second = await open(dataDir)
  expect(await second.prepared('all', 'select n from notes', [])).toEqual([{ n: 7 }])
})

test('every commit reaches the disk: there is an fsync for each', async () => {
  const dataDir = await preparedFolder()
  const embedded = await openEmbedded(dataDir)
  const client = new pg.Client({ stream: () => embedded.connect(), ssl: false, user: 'postgres' })
  await client.connect()
  const settings = await client.query(
    "select current_setting('fsync') as fsync, current_setting('wal_sync_method') as by",
  )
  expect(settings.rows).toEqual([{ fsync: 'on', by: 'fsync' }])

  const before = await embedded.fsyncCount()
  for (let n = 0; n < 50; n += 1) await client.query('insert into notes values ($1)', [n])
  const after = await embedded.fsyncCount()
  expect(after - before).toBeGreaterThanOrEqual(50)

  for (let n = 0; n < 50; n += 1) await client.query('select count(*) from notes')
  expect((await embedded.fsyncCount()) - after).toBeLessThan(10)
  await client.end()
  await embedded.close()
})

test('a second opener in this process is refused, until the first has closed', async () => {
  const dataDir = await preparedFolder()
  const first = await openDatabase({ dataDir, log })
  await expect(openDatabase({ dataDir, log })).rejects.toMatchObject({
    code: 'conflict',
    message: `The data folder ${dataDir} is in use by process ${process.pid}.`,
  })
  await first.close()
  await open(dataDir)
})

test('a second process is refused while the first lives; after kill -9 nothing acknowledged is lost', async () => {
  const dataDir = await preparedFolder()
  const holder = hold(dataDir)
  expect(await once(holder, 'message')).toEqual(['open', undefined])
  await expect(openDatabase({ dataDir, log })).rejects.toMatchObject({ code: 'conflict' })
  const other = hold(dataDir)
  const [refusal] = (await once(other, 'message')) as [string]
  expect(refusal).toBe(`AppError: The data folder ${dataDir} is in use by process ${holder.pid}.`)

  let acknowledged = 0
  holder.on('message', (n: number) => (acknowledged = n))
  while (acknowledged < 100) await once(holder, 'message')
  holder.kill('SIGKILL')
  await once(holder, 'close')

  const db = await open(dataDir)
  const [row] = await db.prepared<{ count: number; max: number }>(
    'seen',
    'select count(*), max(n) from notes',
    [],
  )
  expect(row?.max).toBeGreaterThanOrEqual(acknowledged)
  expect(row?.count).toBe(row?.max)
})

test('a slow statement does not stop the event loop', async () => {
  const db = await open(await preparedFolder())
  let isDone = false
  const slow = sql`select count(*) from generate_series(1, 3000000) a where md5(a::text) = ''`
    .execute(db.kysely)
    .finally(() => (isDone = true))
  for (let turn = 0; turn < 20; turn++) await nextTurn()
  expect(isDone).toBe(false)
  await slow
})

test('a new connection sees neither the transaction nor the prepared statements of the one before', async () => {
  const dataDir = await preparedFolder()
  const embedded = await openEmbedded(dataDir)
  const connect = async () => {
    const client = new pg.Client({ stream: () => embedded.connect(), ssl: false, user: 'postgres' })
    await client.connect()
    return client
  }
  const first = await connect()
  await first.query('begin')
  await first.query({ name: 'same', text: 'insert into notes values ($1)', values: [1] })
  await first.end()

  const second = await connect()
  expect((await second.query({ name: 'same', text: 'select count(*)::int as n from notes' })).rows).toEqual([
    { n: 0 },
  ])
  await second.end()
  await embedded.close()
})

test('an engine that broke down fails its session, and the next connection gets a new one', async () => {
  const dataDir = await preparedFolder()
  const embedded = await openEmbedded(dataDir)
  const broken = embedded.connect()
  const [failure] = await Promise.all([
    once(broken, 'error'),
    startWith(broken, Buffer.from([0, 0, 0, 8, 0, 9, 0, 0])),
  ])
  expect(String(failure[0])).toBe('Error: Connection terminated: the embedded database failed')

  const client = new pg.Client({ stream: () => embedded.connect(), ssl: false, user: 'postgres' })
  await client.connect()
  expect((await client.query('select count(*)::int as n from notes')).rows).toEqual([{ n: 0 }])
  await client.end()
  await embedded.close()
})

/** Speaks as a client of an unknown protocol version would. */
async function startWith(stream: Duplex, bytes: Buffer): Promise<void> {
  ;(stream as Socket).connect(0)
  await once(stream, 'connect')
  stream.write(bytes)
}

test('statements that are waiting when the database closes are answered', async () => {
  const dataDir = await preparedFolder()
  const db = await openDatabase({ dataDir, log })
  const waiting = Array.from({ length: 20 }, (_, n) =>
    db.prepared('late', 'insert into notes values ($1)', [n]),
  )
  const closing = db.close()
  const outcomes = await Promise.allSettled(waiting)
  await closing
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'database_unavailable' })
  }
  const acknowledged = outcomes.filter(({ status }) => status === 'fulfilled').length
  const again = await open(dataDir)
  expect(await again.prepared('all', 'select count(*) as n from notes', [])).toEqual([{ n: acknowledged }])
  await expect(db.ping()).rejects.toMatchObject({ code: 'database_unavailable' })
})
