import { fork, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Runtime } from '../src/kernel/runtime.ts'
import type { Ask, CrowdMember, Usage } from './servers/protocol.ts'

/** A server under measurement, in a process of its own. */
export interface ServerProcess {
  port: number
  pid: number
  /** The admin token of a real server. */
  token: string | undefined
  usage(): Promise<Usage>
  queue(uuids: string[], enrollmentIds: string[]): Promise<void>
  sql(text: string): Promise<void>
  /** How many rows each table of Firstboot has. */
  rows(): Promise<Record<string, number>>
  /** Enrols devices by SQL, for keys given as SPKI in base64; gives their certificates in base64. */
  crowd(members: CrowdMember[], spkis: string[], topic: string): Promise<string[]>
  stop(): Promise<void>
  /** Ends one that may not answer any more. */
  kill(): Promise<void>
}

/** How a server is started. */
interface Start {
  /** The folder of a checkout with its own `node_modules`, whose server it is; this one by default. */
  checkout?: string
  /** The program that runs Node with the parameters it is given; Node itself by default. */
  execPath?: string
}

/** Starts one of `bench/servers` with these settings, with the flags of its own checkout. */
export async function startServer(
  name: 'firstboot' | 'plain' | 'empty',
  settings: Record<string, string> = {},
  { checkout = path.dirname(import.meta.dirname), execPath = process.execPath }: Start = {},
): Promise<ServerProcess> {
  const runtime = pathToFileURL(path.join(checkout, 'src/kernel/runtime.ts')).href
  const { RUNTIME } = (await import(runtime)) as { RUNTIME: Runtime }
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('FIRSTBOOT_'))
  const child = fork(path.join(checkout, 'bench/servers', `${name}.ts`), {
    cwd: checkout,
    execPath,
    env: { ...Object.fromEntries(inherited), ...RUNTIME.variables, ...settings },
    execArgv: [...RUNTIME.flags],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const ready = await new Promise<{ port: number; token?: string }>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the ${name} server ended with ${code}`)))
    child.once('message', (message: { ready: { port: number; token?: string } }) => resolve(message.ready))
  })
  child.removeAllListeners('exit')
  const ask = asker(child)
  return {
    port: ready.port,
    pid: child.pid ?? 0,
    token: ready.token,
    usage: () => ask({ ask: 'usage' }) as Promise<Usage>,
    queue: async (uuids, enrollmentIds) => void (await ask({ ask: 'queue', uuids, enrollmentIds })),
    sql: async (text) => void (await ask({ ask: 'sql', text })),
    rows: () => ask({ ask: 'rows' }) as Promise<Record<string, number>>,
    crowd: (members, spkis, topic) => ask({ ask: 'crowd', members, spkis, topic }) as Promise<string[]>,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      await ask({ ask: 'stop' })
      await ended
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** One question at a time, each with its answer. */
function asker(child: ChildProcess): (question: Ask) => Promise<unknown> {
  let last: Promise<unknown> = Promise.resolve()
  return (question) => {
    last = last.then(
      () =>
        new Promise((resolve, reject) => {
          const onExit = () => reject(new Error('the server died'))
          child.once('exit', onExit)
          child.once('message', (message: { answer: unknown }) => {
            child.off('exit', onExit)
            resolve(message.answer)
          })
          child.send(question)
        }),
    )
    return last
  }
}
