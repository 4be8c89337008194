import { execFile } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { freePort } from '../../src/simulator/free-port.ts'
import { tiedToThisProcess } from './temporary-folder.ts'

const run = promisify(execFile)
const INSTALL = 'apt-get update && apt-get install --yes --no-install-recommends postgresql'
const START_DEADLINE_MS = 240_000

/** A PostgreSQL server: `url` is that of a superuser and its database `postgres`. */
export type PostgresServer = { url: string; stop(): Promise<void> }

/** The server of FIRSTBOOT_TEST_POSTGRES_URL if that is set, else a throw-away one that is quick and not durable. */
export async function testServer(): Promise<PostgresServer> {
  const given = process.env['FIRSTBOOT_TEST_POSTGRES_URL']
  if (given !== undefined && given !== '') return { url: given, stop: () => Promise.resolve() }
  return startPostgres({ durable: false })
}

/** The folder of PostgreSQL's programs. Installs them where that is possible, else fails saying how to. */
export async function requirePostgres(): Promise<string | undefined> {
  const given = process.env['FIRSTBOOT_TEST_POSTGRES_URL']
  if (given !== undefined && given !== '') return undefined
  const found = findPrograms()
  if (found !== undefined) return found
  if (isRoot() && existsSync('/usr/bin/apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await run('sh', ['-c', INSTALL], { env, maxBuffer: 1 << 26 })
  }
  const installed = findPrograms()
  if (installed !== undefined) return installed
  throw new Error(
    `The tests need PostgreSQL (14 or newer). Install it:  sudo sh -c '${INSTALL}'\n` +
      'or name a running server, as a superuser:  FIRSTBOOT_TEST_POSTGRES_URL=postgres://...',
  )
}

/**
 * Starts a PostgreSQL of its own on a free port of the loopback interface, with its default settings; `durable: false`
 * turns fsync off. It stops, and its files go, with `stop` or with this process.
 */
export async function startPostgres({ durable }: { durable: boolean }): Promise<PostgresServer> {
  const programs = await requirePostgres()
  if (programs === undefined) throw new Error('Unset FIRSTBOOT_TEST_POSTGRES_URL to start a server.')
  const owner = isRoot() ? await unprivilegedUser() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'firstboot-postgres-'))
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (owner !== undefined) for (const path of [folder, data]) chownSync(path, owner.uid, owner.gid)

  const initdb = [
    '--pgdata',
    data,
    '--username',
    'postgres',
    '--auth',
    'trust',
    '--encoding',
    'UTF8',
    '--no-sync',
  ]
  await run(join(programs, 'initdb'), [...initdb, '--locale', 'C.UTF-8'], { ...owner, cwd: folder })

  const port = await freePort()
  const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 200 }
  const entries = Object.entries(durable ? settings : { ...settings, fsync: 'off', full_page_writes: 'off' })
  const options = entries.flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const script = 'f=$1; shift; "$@" >"$f/log" 2>&1 & pid=$!; cat; kill -INT $pid; wait $pid; rm -rf "$f"'
  const stop = tiedToThisProcess(script, [folder, join(programs, 'postgres'), '-D', data, ...options], owner)

  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  try {
    await waitUntilReady(url)
  } catch (cause) {
    const log = readFileSync(join(folder, 'log'), 'utf8')
    await stop()
    throw new Error(`PostgreSQL did not start:\n${log}`, { cause })
  }
  return { url, stop }
}

/** Runs statements that belong in no transaction (create database) on a server. */
export async function administer(url: string, ...statements: string[]): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

async function waitUntilReady(url: string): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS
  for (;;) {
    try {
      return await administer(url, 'select 1')
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

function findPrograms(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : []
  const folders = versions.map((version) => join(debian, version, 'bin'))
  folders.push(...(process.env['PATH'] ?? '').split(delimiter))
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  const name = await run('id', ['postgres']).then(
    () => 'postgres',
    () => 'nobody',
  )
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)),
  )
  if (uid === undefined || gid === undefined)
    throw new Error('There is no unprivileged user to run PostgreSQL.')
  return { uid, gid }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}
