import { fork, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { RUNTIME } from '../src/kernel/runtime.ts'
import type { Ask, CrowdMember, Usage } from './servers/protocol.ts'

/** A server under measurement, in a process of its own. */
export interface ServerProcess {
  port: number
  /** The admin token of a real server. */
  token: string | undefined
  usage(): Promise<Usage>
  queue(uuids: string[], enrollmentIds: string[]): Promise<void>
  sql(text: string): Promise<void>
  /** Enrols devices by SQL, for keys given as SPKI in base64; gives their certificates in base64. */
  crowd(members: CrowdMember[], spkis: string[], topic: string): Promise<string[]>
  stop(): Promise<void>
}

/** Starts one of `bench/servers` with these settings. */
export async function startServer(
  name: 'firstboot' | 'plain' | 'empty',
  settings: Record<string, string> = {},
): Promise<ServerProcess> {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('FIRSTBOOT_'))
  const child = fork(path.join(import.meta.dirname, 'servers', `${name}.ts`), {
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
    token: ready.token,
    usage: () => ask({ ask: 'usage' }) as Promise<Usage>,
    queue: async (uuids, enrollmentIds) => void (await ask({ ask: 'queue', uuids, enrollmentIds })),
    sql: async (text) => void (await ask({ ask: 'sql', text })),
    crowd: (members, spkis, topic) => ask({ ask: 'crowd', members, spkis, topic }) as Promise<string[]>,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      await ask({ ask: 'stop' })
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
