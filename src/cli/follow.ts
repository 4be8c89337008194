import { setTimeout as pause } from 'node:timers/promises'
import { ApiProblem, Unreachable, type ApiClient } from './client.ts'
import { readEvents } from './event-stream.ts'
import { formatTable } from './table.ts'
import { visible } from './terminal.ts'
import { followEvents } from './verbs/index.ts'

const INTERVAL_MS = 1_000
/** A connection over which not even a heartbeat comes is dead; the server sends one every 15 s. */
const SILENCE_MS = 45_000
/** Answers of a server, or of a proxy before it, that will be another one soon. */
const PASSING = new Set([429, 502, 503, 504])

/**
 * Prints events as they come, as lines of JSON or of a table. Without `after` it begins with what happens from now on.
 * Ends when `signal` aborts; a server that is away is waited for.
 */
export async function follow(deps: {
  api: ApiClient
  query: Readonly<Record<string, string>>
  output: 'json' | 'table'
  columns?: number | undefined
  write: (text: string) => void
  warn: (text: string) => void
  signal: AbortSignal
  intervalMs?: number
}): Promise<void> {
  const { api, query, output, write, warn, signal, intervalMs = INTERVAL_MS } = deps
  let last: string | undefined
  while (!signal.aborted) {
    try {
      for await (const { id, data } of streamed(api, { query, last, signal })) {
        if (data !== '') write(print(JSON.parse(data), output, deps.columns))
        last = id
      }
    } catch (error) {
      if (!willPass(error)) throw error
      if (!signal.aborted) warn(`${error.message}; trying again\n`)
    }
    // An abort ends the wait early; the loop's condition then ends the loop.
    await pause(intervalMs, undefined, { signal }).catch(() => undefined)
  }
}

function willPass(error: unknown): error is Error {
  return error instanceof Unreachable || (error instanceof ApiProblem && PASSING.has(error.problem.status))
}

/** What one connection brings. */
async function* streamed(
  api: ApiClient,
  from: { query: Readonly<Record<string, string>>; last: string | undefined; signal: AbortSignal },
) {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), SILENCE_MS).unref()
  try {
    const body = await api({
      method: 'GET',
      path: '/events/stream',
      query: from.query,
      headers: from.last === undefined ? {} : { 'last-event-id': from.last },
      isStream: true,
      signal: AbortSignal.any([from.signal, silence.signal]),
    })
    yield* readEvents(body as ReadableStream<Uint8Array>, () => timer.refresh())
  } finally {
    clearTimeout(timer)
  }
}

function print(event: unknown, output: 'json' | 'table', columns: number | undefined): string {
  if (output === 'json') return `${visible(JSON.stringify(event))}\n`
  return formatTable([event], followEvents.columns, columns).replace(/^.*\n/, '')
}
