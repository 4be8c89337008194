import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, extname, join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { fsyncFolder, fsyncTree } from './embedded-files.ts'
import { createEngineStream, type EngineReceiver, type EngineSession } from './embedded-stream.ts'
import { lockFolder } from './folder-lock.ts'

/** What the worker thread starts with: where the database is, its settings (`name=value`), and its program. */
export type EngineData = { folder: string; settings: readonly string[]; program: object }

/** To the worker thread: wire protocol bytes of a session, a question for its counters, or the end. */
export type ToEngine =
  { kind: 'bytes'; session: number; bytes: Uint8Array<ArrayBuffer> } | { kind: 'stats' } | { kind: 'close' }

/** From the worker thread. */
export type FromEngine =
  | { kind: 'ready' }
  | { kind: 'bytes'; session: number; bytes: Uint8Array }
  | { kind: 'stats'; fsyncs: number }
  | { kind: 'closed' }

type Engine = {
  post(message: ToEngine): void
  next(kind: FromEngine['kind']): Promise<FromEngine>
  exited: Promise<void>
}

/**
 * Opens (and at the first start makes, which `onCreate` is told) the embedded database in `<dataDir>/database`, with these
 * settings (`name=value`). Throws AppError `conflict` when another process has it open.
 */
export async function openEmbedded(
  dataDir: string,
  settings: readonly string[] = [],
  onCreate = (): void => undefined,
) {
  const folder = join(dataDir, 'database')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const unlock = lockFolder(folder)
  const receivers = new Map<number, EngineReceiver>()
  let lastSession = 0
  let engine: Promise<Engine> | undefined

  function start(): Promise<Engine> {
    const starting = compileProgram().then((program) => startEngine({ folder, settings, program }, receivers))
    const forget = (): void => {
      if (engine === starting) engine = undefined
    }
    starting.then(({ exited }) => exited, forget).then(forget, forget)
    return starting
  }

  /** A worker thread that died is replaced by the next one who connects. */
  async function openSession(receiver: EngineReceiver): Promise<EngineSession> {
    engine ??= start()
    const { post } = await engine
    const session = ++lastSession
    receivers.set(session, receiver)
    return {
      send: (bytes) => {
        // A copy: the driver's buffer is a view into a larger one.
        post({ kind: 'bytes', session, bytes: new Uint8Array(bytes) })
      },
      end: () => void receivers.delete(session),
    }
  }

  try {
    if (!existsSync(folder)) {
      onCreate()
      await createFolder(folder)
    }
    engine = start()
    await engine
  } catch (error) {
    unlock()
    throw error
  }

  return {
    /** A stream for the `pg` driver. The engine has one session: the driver may open one connection at a time. */
    connect: () => createEngineStream(openSession),
    /** How many fsyncs the database asked for since it was opened. */
    async fsyncCount() {
      const { post, next } = await (engine ??= start())
      post({ kind: 'stats' })
      const answer = await next('stats')
      return answer.kind === 'stats' ? answer.fsyncs : 0
    },
    /** Writes a checkpoint, ends the worker thread and frees the folder. */
    async close() {
      const running = await engine?.catch(() => undefined)
      running?.post({ kind: 'close' })
      await running?.exited
      unlock()
    },
  }
}

/**
 * Makes the database beside its place and moves it there when it is complete: an interrupted first start begins anew.
 * A process of its own makes it, because the memory that takes (some 300 MB) is not given back by a thread.
 */
async function createFolder(folder: string): Promise<void> {
  const draft = `${folder}.new-${randomUUID()}`
  for (const name of readdirSync(dirname(folder))) {
    if (name.startsWith(`${basename(folder)}.new-`)) rmSync(join(dirname(folder), name), { recursive: true })
  }
  await runCreation(draft)
  fsyncTree(draft)
  renameSync(draft, folder)
  fsyncFolder(dirname(folder))
}

async function runCreation(folder: string): Promise<void> {
  const child = fork(besideThisFile('embedded-create'), [folder], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let complaint = ''
  child.stderr?.on('data', (text: Buffer) => (complaint += text.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`The embedded database could not be made: ${complaint.trim().slice(-1000)}`)
}

/** As far as it is needed here: neither ECMAScript's types nor Node's declare it. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<object> }
let program: Promise<object> | undefined

/** PGlite's program, compiled once for all databases of this process, and all threads that replace one that has died. */
function compileProgram(): Promise<object> {
  // V8 has ended processes while it collected what better compiled code of a shared program had replaced (UnregisterWasmAllocation).
  setFlagsFromString('--no-wasm-code-gc')
  const file = join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), 'pglite.wasm')
  return (program ??= readFile(file).then((bytes) => WebAssembly.compile(bytes)))
}

/** A script of its own thread or process, in the sources (.ts) as in a build (.js). */
function besideThisFile(name: string): URL {
  return new URL(`./${name}${extname(import.meta.url)}`, import.meta.url)
}

async function startEngine(workerData: EngineData, receivers: Map<number, EngineReceiver>): Promise<Engine> {
  const worker = new Worker(besideThisFile('embedded-worker'), { workerData, stdin: false })
  const waiting: {
    kind: FromEngine['kind']
    resolve: (message: FromEngine) => void
    reject: (error: Error) => void
  }[] = []

  const exited = new Promise<void>((resolve) => {
    let reason = new Error('Connection terminated: the embedded database has stopped')
    worker.on('error', (error) => {
      reason = new Error('Connection terminated: the embedded database failed', { cause: error })
    })
    worker.on('exit', () => {
      for (const { reject } of waiting.splice(0)) reject(reason)
      for (const receiver of receivers.values()) receiver.fail(reason)
      receivers.clear()
      resolve()
    })
  })
  worker.on('message', (message: FromEngine) => {
    if (message.kind === 'bytes') receivers.get(message.session)?.receive(message.bytes)
    const index = waiting.findIndex(({ kind }) => kind === message.kind)
    if (index >= 0) waiting.splice(index, 1)[0]?.resolve(message)
  })

  const next: Engine['next'] = (kind) =>
    new Promise((resolve, reject) => waiting.push({ kind, resolve, reject }))
  await next('ready')
  return {
    post: (message) => {
      // Moved, not copied: the sender gives it away.
      const moved = message.kind === 'bytes' ? [message.bytes.buffer] : []
      worker.postMessage(message, moved)
    },
    next,
    exited,
  }
}
