import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { readEnv } from '../../src/config/env.ts'
import { loadSecrets } from '../../src/config/secrets.ts'
import { openDatabase } from '../../src/db/index.ts'
import { createLog } from '../../src/kernel/log.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { buildCommand } from '../../src/protocol/mdm/index.ts'
import { enrolCrowd } from './crowd.ts'
import { answerBench } from './protocol.ts'

/** The real server, started as `firstboot serve` starts it, logging to nowhere but formatting every line. */
const env = readEnv()
const config = loadConfig(env)
const secrets = loadSecrets(env, config.dataDir)
const log = createLog({ level: config.logLevel, destination: { write: () => undefined } })
const db = await openDatabase({
  ...(secrets.databaseUrl !== null && { url: secrets.databaseUrl }),
  dataDir: config.dataDir,
  log,
})
const app = await startApp({ config, secrets, log, db })
const port = Number(new URL(app.addresses.main).port)

answerBench({
  port,
  token: secrets.adminToken,
  stop: app.close,
  async sql(text) {
    await sql.raw(text).execute(db.kysely)
  },
  async rows() {
    const tables = sql<{ name: string }>`
      select relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`
    const counts: Record<string, number> = {}
    for (const { name } of (await tables.execute(db.kysely)).rows) {
      const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(name)}`.execute(
        db.kysely,
      )
      counts[name] = Number(rows[0]?.n)
    }
    return counts
  },
  async crowd(members, spkis, topic) {
    const secretBox = createSecretBox({ key: secrets.secretKey, previous: secrets.previousSecretKey })
    return enrolCrowd({ db, log, secretBox }, members, spkis, topic)
  },
  async queue(uuids, enrollmentIds) {
    for (const uuid of uuids) {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/commands`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${secrets.adminToken}`,
          'content-type': 'application/json',
          'idempotency-key': randomBytes(16).toString('hex'),
        },
        body: JSON.stringify({
          plist: buildCommand(uuid, 'ProfileList').toString('base64'),
          device_ids: enrollmentIds,
          // The bench delivers by itself; nobody is to be woken.
          not_before: '2026-01-01T00:00:00Z',
        }),
      })
      if (response.status !== 202)
        throw new Error(`queueing answered ${response.status}: ${await response.text()}`)
    }
  },
})
