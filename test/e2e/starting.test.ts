import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { testDatabase, type TestDatabase } from '../support/database.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/*
 * The program as who starts it sees it: its first words, what ends it, and what it says when it cannot start.
 */
const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts')
const folder = temporaryFolder()
afterAll(() => folder.remove())

let database: TestDatabase
let runs = 0

/** A started server, whose output is in a file, as the one that reads a pipe may be gone. */
interface Run {
  child: ChildProcess
  output(): string
  /** Waits for words in the output. */
  said(words: string): Promise<void>
}

function environment(settings: Record<string, string>): NodeJS.ProcessEnv {
  const { npm_lifecycle_event: _npm, ...env } = process.env
  return {
    ...env,
    FIRSTBOOT_DATA_DIR: folder.path,
    FIRSTBOOT_PORT: '0',
    FIRSTBOOT_DATABASE_URL: database.location.url,
    ...settings,
  }
}

function start(command: readonly [string, ...string[]], settings: Record<string, string> = {}): Run {
  const file = path.join(folder.path, `output-${++runs}`)
  const out = openSync(file, 'w')
  const [program, ...args] = command
  const child = spawn(program, args, { env: environment(settings), stdio: ['ignore', out, out] })
  closeSync(out)
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = () => readFileSync(file, 'utf8')
  return {
    child,
    output,
    said: (words) => expect.poll(output, { interval: 100 }).toContain(words),
  }
}

const serve = (settings?: Record<string, string>) => start([process.execPath, MAIN, 'serve'], settings)

async function exitOf({ child }: Run): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode
}

beforeAll(async () => {
  database = await testDatabase('postgres')
})
afterAll(() => database.close())

describe('what ends a server', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s, and its first words are told', async (signal) => {
    const run = serve()
    await run.said('server.started')
    const [first] = run.output().split('\n')
    expect(JSON.parse(first!)).toMatchObject({
      event: 'server.starting',
      msg: expect.stringMatching(/^Firstboot \S+ is starting, on PostgreSQL$/),
    })
    run.child.kill(signal)
    expect(await exitOf(run)).toBe(0)
    expect(run.output()).toContain('server.stopped')
  })

  // npm starts scripts through a shell, and neither tells them of its own end.
  test.each(['SIGKILL', 'SIGTERM', 'SIGHUP'] as const)('the end of npm by %s', async (signal) => {
    const npm = `require('child_process').spawn('sh', ['-c', '"$NODE" "$MAIN" serve; exit'], { stdio: 'inherit' })`
    const run = start([process.execPath, '--eval', npm], {
      ...{ NODE: process.execPath, MAIN, npm_lifecycle_event: 'start' },
    })
    await run.said('server.started')
    run.child.kill(signal)
    await exitOf(run)
    await run.said('server.stopped')
    expect(run.output()).toContain('"signal":"npm"')
  })
})

describe('what keeps a server from starting is one line', () => {
  async function refusal(settings: Record<string, string>): Promise<string> {
    const run = serve({ FIRSTBOOT_LOG_LEVEL: 'fatal', ...settings })
    expect(await exitOf(run)).toBe(1)
    return run.output()
  }

  test('a port that is taken, with who has it', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void holder.close())
    const { port } = holder.address() as AddressInfo
    expect(await refusal({ FIRSTBOOT_PORT: String(port) })).toBe(
      `firstboot: 127.0.0.1:${port} is in use by process ${process.pid}.\n`,
    )
  })

  test('a database that is not there, with its place and the cause', async () => {
    const answer = await refusal({ FIRSTBOOT_DATABASE_URL: 'postgres://me:secret@127.0.0.1:9/x' })
    expect(answer).toBe(
      'firstboot: The database at 127.0.0.1:9 cannot be reached: connect ECONNREFUSED 127.0.0.1:9\n',
    )
  })

  test('a database that refuses us', async () => {
    const address = Object.assign(new URL(database.location.url!), { pathname: '/no_such_database' })
    expect(await refusal({ FIRSTBOOT_DATABASE_URL: address.toString() })).toBe(
      'firstboot: The database refuses: database "no_such_database" does not exist\n',
    )
  })
})

test('whoever reads only the beginning of an answer is no error', async () => {
  const run = start(['bash', '-c', '"$NODE" "$MAIN" --help | true; echo "ended with ${PIPESTATUS[0]}"'], {
    ...{ NODE: process.execPath, MAIN },
  })
  await exitOf(run)
  expect(run.output()).toBe('ended with 0\n')
})

test('what it makes is for its owner alone, whatever the umask, and a folder that others may read is told', async () => {
  const dataDir = path.join(folder.path, 'open')
  mkdirSync(dataDir)
  chmodSync(dataDir, 0o755)
  const command = `umask 000; exec '${process.execPath}' '${MAIN}' serve`
  // A database of its own, as its secret key is another than that of the tests above.
  const own = await testDatabase('postgres')
  onTestFinished(() => own.close())
  const settings = { FIRSTBOOT_DATA_DIR: dataDir, FIRSTBOOT_DATABASE_URL: own.location.url! }
  const run = start(['sh', '-c', command], settings)
  await run.said('server.started')
  expect(run.output()).toContain(`Others may read ${dataDir}: run chmod 700 ${dataDir}`)
  for (const name of readdirSync(dataDir))
    expect({ name, mode: statSync(path.join(dataDir, name)).mode & 0o077 }).toEqual({ name, mode: 0 })
  run.child.kill('SIGTERM')
  expect(await exitOf(run)).toBe(0)
})
