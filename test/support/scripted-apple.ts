import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../src/kernel/clock.ts'
import { createHttpClient } from '../../src/kernel/http-client.ts'
import { AdeError, createAdeClient } from '../../src/protocol/ade/index.ts'
import type { AdeClient } from '../../src/protocol/ade/index.ts'

/** What the scripted Apple answers: status, body and headers. */
export type Reply = [status: number, body: unknown, headers?: Record<string, string>]

interface Asked {
  line: string
  headers: IncomingMessage['headers']
  body: unknown
}

/** The credentials of its one client. */
export const TOKEN = {
  consumerKey: 'CK_1',
  consumerSecret: 'CS_1',
  accessToken: 'AT_1',
  accessSecret: 'AS_1',
}

/** An empty page, which is also the answer when there is no script. */
export const PAGE = {
  devices: [],
  cursor: 'c1',
  fetched_until: '2026-11-25T10:00:00Z',
  more_to_follow: false,
}

/** A server that says what it is told to, and remembers what it was asked. */
export interface ScriptedApple {
  url: string
  script: Reply[]
  /** The same for GET /session. */
  logins: Reply[]
  asked: Asked[]
  /** Logins so far. */
  sessions: number
  /** A client that has no session yet. */
  client(options?: { baseUrl?: string; onSession?: () => void }): AdeClient
  reset(): void
  close(): void
}

/** Starts one on loopback. */
export async function scriptedApple(): Promise<ScriptedApple> {
  const http = createHttpClient({ timeoutMs: 10_000, maxBytes: 100_000, userAgent: 'x', clock: systemClock })
  const apple: ScriptedApple = {
    url: '',
    script: [],
    logins: [],
    asked: [],
    sessions: 0,
    client: (options) =>
      createAdeClient({
        baseUrl: `${apple.url}/`,
        token: TOKEN,
        http,
        clock: systemClock,
        userAgent: 'firstboot/1',
        ...options,
      }),
    reset: () => Object.assign(apple, { script: [], logins: [], asked: [], sessions: 0 }),
    close() {
      http.close()
      server.closeAllConnections()
      server.close()
    },
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const line = `${request.method} ${request.url}`
      apple.asked.push({ line, headers: request.headers, body: body === '' ? undefined : JSON.parse(body) })
      const [status, content, headers] = nextReply(line === 'GET /session')
      response.writeHead(status, headers).end(typeof content === 'string' ? content : JSON.stringify(content))
    })
  })

  function nextReply(login: boolean): Reply {
    if (!login) return apple.script.shift() ?? [200, PAGE]
    apple.sessions++
    return apple.logins.shift() ?? [200, { auth_session_token: `S${apple.sessions}` }]
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  apple.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return apple
}

/** What an AdeError says that a call ends with. */
export async function adeFailure(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof AdeError)) throw new Error('no AdeError', { cause: error })
  const { kind, appleCode, status, retryAfterMs, message } = error
  return { kind, appleCode, status, retryAfterMs, message }
}
