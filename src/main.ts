#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import path from 'node:path'

// The sources are read without their types once, not at each call; a build has none. The rest is loaded after that.
if (import.meta.filename.endsWith('.ts')) {
  enableCompileCache(path.join(import.meta.dirname, '../node_modules/.cache/firstboot/compiled'))
}
const { readEnv, wholeEnvironment, isStartedByNpm } = await import('./config/env.ts')
const { runCli } = await import('./cli/index.ts')
const { version } = await import('./version.ts')

/** Reads the settings; all problems are told at once, and then nothing starts. */
async function prepare(destination?: NodeJS.WriteStream) {
  const { loadConfig } = await import('./config/config.ts')
  const { loadSecrets } = await import('./config/secrets.ts')
  const { openToOthers } = await import('./config/private-files.ts')
  const { createLog } = await import('./kernel/log.ts')
  // What is made from here on, the files of the database too, is for nobody else.
  process.umask(0o077)
  const env = readEnv()
  const config = loadConfig(env)
  const onTerminal = process.stdout.isTTY
  const log = createLog({ level: config.logLevel, pretty: onTerminal, ...(destination && { destination }) })
  const where = config.database === 'embedded' ? `the embedded database in ${config.dataDir}` : 'PostgreSQL'
  log.info({ event: 'server.starting', version }, `Firstboot ${version} is starting, on ${where}`)
  const secrets = loadSecrets(env, config.dataDir)
  for (const { path: open, chmod } of openToOthers(config, env))
    log.warn(
      { event: 'file.open_to_others', path: open },
      `Others may read ${open}: run chmod ${chmod} ${open}`,
    )
  return { config, secrets, log, byNpm: isStartedByNpm(), onTerminal }
}

async function serve(): Promise<number> {
  const { RUNTIME, restartWith } = await import('./kernel/runtime.ts')
  restartWith(RUNTIME, wholeEnvironment())
  const start = await prepare()
  return (await import('./serve.ts')).serve(start)
}

async function migrate(): Promise<number> {
  const start = await prepare()
  return (await import('./serve.ts')).migrate(start)
}

async function migrateFrom(
  asked: Parameters<Parameters<typeof runCli>[1]['migrateFrom']>[0],
): Promise<number> {
  const { stdout, stderr } = process
  const start = await prepare(stderr)
  const { migrateFrom: move } = await import('./migrate-from.ts')
  const tell = (text: string) => void (stderr.isTTY && stderr.write(`\r${text.trimEnd()}`))
  return move(start, { ...asked, write: (text) => void stdout.write(text), tell })
}

/** What is understood is told in a sentence; what the system refuses (a folder without permission) is no fault of the program. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ('severity' in error) return `The database refuses: ${error.message}`
  const isUnderstood = error.name === 'ConfigError' || error.name === 'AppError' || 'syscall' in error
  return isUnderstood ? error.message : (error.stack ?? error.message)
}

try {
  const { stdout, stderr } = process
  // `firstboot ... | head` takes what it wants and goes.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  process.exitCode = await runCli(process.argv.slice(2), {
    serve,
    migrate,
    migrateFrom,
    stdout,
    stderr,
    version,
  })
} catch (error) {
  process.stderr.write(`firstboot: ${explain(error)}\n`)
  process.exitCode = 1
}
