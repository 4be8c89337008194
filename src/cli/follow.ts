import { setTimeout as pause } from 'node:timers/promises'
import { Unreachable, type ApiClient } from './client.ts'
import { formatTable } from './table.ts'
import { visible } from './terminal.ts'
import { followEvents } from './verbs/index.ts'

const INTERVAL_MS = 1_000
const LAST_PAGE = '1000'

interface Events {
  items: { id: string }[]
  next_cursor: string | null
}

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
  const read = async (after: string | undefined): Promise<Events> => {
    const parameters = { limit: LAST_PAGE, ...query, ...(after === undefined ? {} : { after }) }
    return (await api({ method: 'GET', path: '/events', query: parameters })) as Events
  }
  let { after } = query
  let silent = after === undefined
  while (!signal.aborted) {
    try {
      const { items, next_cursor: cursor } = await read(after)
      after = cursor ?? after
      if (!silent) write(print(items, output, deps.columns))
      if (items.length > 0) continue
      silent = false
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      warn(`${error.message}; trying again\n`)
    }
    // An abort ends the wait early; the loop's condition then ends the loop.
    await pause(intervalMs, undefined, { signal }).catch(() => undefined)
  }
}

function print(items: readonly unknown[], output: 'json' | 'table', columns: number | undefined): string {
  if (items.length === 0) return ''
  if (output === 'json') return items.map((item) => `${visible(JSON.stringify(item))}\n`).join('')
  return formatTable(items, followEvents.columns, columns).replace(/^.*\n/, '')
}
