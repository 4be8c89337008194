import { startApp } from './app.ts'
import type { Config } from './config/config.ts'
import type { Secrets } from './config/secrets.ts'
import { migrateToLatest, openDatabase } from './db/index.ts'
import type { Log } from './kernel/log.ts'
import { whenParentEnds } from './kernel/parent.ts'
import { version } from './version.ts'

/** What a run of the server or of a migration is started with. */
interface Start {
  config: Config
  secrets: Secrets
  log: Log
  /** Whether npm started it, whose end is then this program's too. */
  byNpm: boolean
  /** Whether a person looks at it, who ends it by closing the terminal. */
  onTerminal: boolean
}

/** Runs the server until it is told to stop; gives the exit code. */
export async function serve({ config, secrets, log, byNpm, onTerminal }: Start): Promise<number> {
  const stopped = untilStopped({ byNpm, hangUpStops: config.tls === null || onTerminal })
  const app = await startApp({ config, secrets, log })
  if (config.tls !== null && !onTerminal) process.on('SIGHUP', app.reloadTls)
  log.info(
    {
      event: 'server.started',
      version,
      address: app.addresses.main,
      operator_address: app.addresses.operator,
      public_url: config.publicUrl,
      database: config.database,
      admin_token_file: secrets.adminTokenFile,
    },
    `Firstboot ${version} listens on ${app.addresses.main}; API documentation at ${app.addresses.operator}/api/docs` +
      (secrets.adminTokenFile === null ? '' : `; the admin token is in ${secrets.adminTokenFile}`),
  )
  const cause = await stopped
  log.info({ event: 'server.stopping', signal: cause }, 'stopping: running requests are answered first')
  await app.close()
  log.info({ event: 'server.stopped' }, 'stopped')
  return 0
}

/** Brings the database to this version's schema; gives the exit code. */
export async function migrate({ config, secrets, log }: Start): Promise<number> {
  const db = await openDatabase({
    ...(secrets.databaseUrl !== null && { url: secrets.databaseUrl }),
    dataDir: config.dataDir,
    log,
  })
  try {
    await migrateToLatest(db)
    log.info({ event: 'database.migrated', database: config.database }, 'the database is up to date')
  } finally {
    await db.close()
  }
  return 0
}

/** What ended the wait: the name of a signal, or `npm` when whoever started this is gone. */
function untilStopped({ byNpm, hangUpStops }: { byNpm: boolean; hangUpStops: boolean }): Promise<string> {
  const signals = ['SIGTERM', 'SIGINT', ...(hangUpStops ? (['SIGHUP'] as const) : [])] as const
  return new Promise((resolve) => {
    for (const signal of signals) process.once(signal, resolve)
    if (byNpm) whenParentEnds(() => resolve('npm'))
  })
}
