import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { FakeApns } from '../../src/simulator/index.ts'

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname
const START_DEADLINE_MS = 240_000

/** The admin token of servers that are started here. */
export const PROCESS_ADMIN_TOKEN = 'the-admin-token-of-a-process-0123456789'

/** A server that is a process of its own, and can be killed and started again at the same address. */
export interface ServerProcess {
  url: string
  /** Starts it; resolves when it is ready to answer. */
  start(): Promise<void>
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  /** Ends it as its administrator would; gives its exit code. */
  stop(): Promise<number | null>
  /** Calls the operator API; a call that the server did not answer is made again. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>
  /** What it wrote to its log and to its standard error, all processes together. */
  output(): string
}

/** Describes one; nothing runs before `start`. */
export function serverProcess(options: {
  location: { url?: string; dataDir: string }
  port: number
  apns: FakeApns
  /** A folder for the certificate of the fake APNs. */
  folder: string
  /** How long calls of the API are made again. */
  patienceMs?: number
  /** More settings. */
  settings?: Record<string, string>
}): ServerProcess {
  const { location, port, apns, folder, patienceMs = 240_000, settings = {} } = options
  const url = `http://127.0.0.1:${port}`
  const caFile = join(folder, 'apns-ca.pem')
  writeFileSync(caFile, apns.certificates.ca)
  const env = {
    ...process.env,
    FIRSTBOOT_PORT: String(port),
    FIRSTBOOT_PUBLIC_URL: url,
    FIRSTBOOT_DATA_DIR: location.dataDir === '' ? folder : location.dataDir,
    ...(location.url !== undefined && { FIRSTBOOT_DATABASE_URL: location.url }),
    FIRSTBOOT_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    FIRSTBOOT_ADMIN_TOKEN: PROCESS_ADMIN_TOKEN,
    FIRSTBOOT_APNS_URL: apns.url,
    FIRSTBOOT_APNS_CA_FILE: caFile,
    FIRSTBOOT_LOG_LEVEL: 'warn',
    ...settings,
  }
  let child: ChildProcess | undefined
  let output = ''

  async function start(): Promise<void> {
    const started = spawn(process.execPath, [MAIN, 'serve'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (bytes: Buffer) => (output += bytes.toString()))
    const deadline = Date.now() + START_DEADLINE_MS
    for (;;) {
      if (started.exitCode !== null || Date.now() > deadline)
        throw new Error(`The server did not start:\n${output.slice(-4_000)}`)
      const answer = await fetch(`${url}/readyz`).catch(() => undefined)
      if (answer?.status === 200) return
      await pause(50)
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null) return ending?.exitCode ?? null
    const exited = once(ending, 'exit')
    ending.kill(signal)
    await exited
    return ending.exitCode
  }

  const api: ServerProcess['api'] = async (method, path, body) => {
    const type = typeof body === 'string' ? 'application/x-pem-file' : 'application/json'
    const deadline = Date.now() + patienceMs
    for (;;) {
      try {
        const answer = await fetch(`${url}/api/v1${path}`, {
          method,
          headers: {
            authorization: `Bearer ${PROCESS_ADMIN_TOKEN}`,
            ...(body !== undefined && { 'content-type': type }),
          },
          ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        })
        const text = await answer.text()
        if (answer.status < 500) return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
        if (Date.now() > deadline) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
      } catch (error) {
        if (Date.now() > deadline) throw error
      }
      await pause(100)
    }
  }

  return {
    url,
    start,
    async kill() {
      await end('SIGKILL')
    },
    stop: () => end('SIGTERM'),
    api,
    output: () => output,
  }
}
