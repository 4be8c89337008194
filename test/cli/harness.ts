import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { runCli } from '../../src/cli/index.ts'
import type { CliDeps } from '../../src/cli/index.ts'

/** A request that the command line made. */
export interface SeenRequest {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

/** The command line on a small server that answers as told. */
export interface CliHarness {
  url: string
  requests: SeenRequest[]
  /** The next answers, in order; then 204. */
  replies: { status?: number; body?: unknown; bytes?: Buffer }[]
  /** Runs one command line against the server, with a token. */
  run(argv: readonly string[], deps?: Partial<CliDeps>): Promise<{ code: number; out: string; err: string }>
}

/** The moment at which all command lines run. */
export const NOW = new Date('2026-05-01T08:00:00Z')

/** The harness of a test file. */
export function useCli(): CliHarness {
  const harness: CliHarness = { url: '', requests: [], replies: [], run }
  const server = createServer((request, response) => void answer(request, response, harness))
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    harness.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  beforeEach(() => {
    harness.requests.splice(0)
    harness.replies.splice(0)
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  async function run(argv: readonly string[], deps: Partial<CliDeps> = {}) {
    let out = ''
    let err = ''
    const code = await runCli(argv, {
      serve: () => Promise.resolve(0),
      migrate: () => Promise.resolve(0),
      migrateFrom: () => Promise.resolve(0),
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
      env: { FIRSTBOOT_URL: harness.url, FIRSTBOOT_TOKEN: 'token-1' },
      now: () => NOW,
      home: '/nowhere',
      ...deps,
    })
    return { code, out, err }
  }
  return harness
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  harness: CliHarness,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const { method = '', url = '', headers } = request
  harness.requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
  const reply = harness.replies.shift() ?? { status: 204 }
  response.statusCode = reply.status ?? 200
  if (reply.bytes !== undefined) return void response.end(reply.bytes)
  if (reply.body === undefined) return void response.end()
  response.setHeader(
    'content-type',
    response.statusCode < 400 ? 'application/json' : 'application/problem+json',
  )
  response.end(JSON.stringify(reply.body))
}
