#!/usr/bin/env node
import { startApp } from './app.ts'
import { loadConfig } from './config/config.ts'
import { readEnv, restartWith } from './config/env.ts'
import { ConfigError } from './config/problems.ts'
import { loadSecrets } from './config/secrets.ts'
import { runCli } from './cli/index.ts'
import { migrateToLatest, openDatabase } from './db/index.ts'
import { AppError } from './kernel/errors.ts'
import { RUNTIME } from './kernel/runtime.ts'
import { createLog } from './kernel/log.ts'
import { version } from './version.ts'

/** Reads the settings; all problems are told at once, and then nothing starts. */
function readSettings() {
  const env = readEnv()
  const config = loadConfig(env)
  const secrets = loadSecrets(env, config.dataDir)
  const log = createLog({ level: config.logLevel, pretty: process.stdout.isTTY })
  return { config, secrets, log }
}

/** Runs the server until SIGTERM or SIGINT. */
async function serve(): Promise<number> {
  restartWith(RUNTIME)
  const { config, secrets, log } = readSettings()
  const app = await startApp({ config, secrets, log })
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
  process.on('SIGHUP', app.reloadTls)
  const signal = await new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
  log.info({ event: 'server.stopping', signal }, 'stopping: running requests are answered first')
  await app.close()
  log.info({ event: 'server.stopped' }, 'stopped')
  return 0
}

/** Brings the database to this version's schema, and ends. */
async function migrate(): Promise<number> {
  const { config, secrets, log } = readSettings()
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

function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof AppError) return error.message
  if (!(error instanceof Error)) return String(error)
  // What the system refuses (a port in use, a folder without permission) is no fault of the program.
  return 'syscall' in error ? error.message : (error.stack ?? error.message)
}

try {
  const { stdout, stderr } = process
  process.exitCode = await runCli(process.argv.slice(2), { serve, migrate, stdout, stderr })
} catch (error) {
  process.stderr.write(`firstboot: ${explain(error)}\n`)
  process.exitCode = 1
}
