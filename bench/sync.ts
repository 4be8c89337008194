import { addAdeServer, assigned, assignPolicy, syncEnd, until, type Apple } from './apple.ts'
import { api } from './population.ts'
import type { Fact } from './report.ts'
import type { ServerProcess } from './server-process.ts'

const SERIALS = 100_000
const SAMPLE_MS = 100

/** Fetches very many serial numbers from the fake Apple and gives all of them a policy. */
export async function syncAndAssign(engine: string, server: ServerProcess, apple: Apple): Promise<Fact[]> {
  const serials = Array.from({ length: SERIALS }, (_, n) => `F8BENCH${String(n).padStart(6, '0')}`)
  const before = (await server.usage()).rss
  const memory = sampler(server)
  const started = performance.now()
  const id = await addAdeServer(server, apple, 'Very many', serials)
  const run = await syncEnd(server, id)
  const seconds = (performance.now() - started) / 1000
  if (run.seen !== SERIALS) throw new Error(`the sync has seen ${run.seen} serial numbers`)
  const most = await memory.stop()
  const after = (await server.usage()).rss

  // A profile that is defined goes with its first serial numbers in one call.
  const calls = () =>
    apple.cloud.calls.filter(({ method, path }) => method !== 'GET' && path.startsWith('/profile')).length
  const callsBefore = calls()
  const assigning = performance.now()
  await assignPolicy(server, id, 'Very many phones')
  await assigned(apple, serials)
  await assignmentNoted(server, serials)
  const assignSeconds = (performance.now() - assigning) / 1000
  if (apple.cloud.violations.length > 0)
    throw new Error(`Apple complains: ${JSON.stringify(apple.cloud.violations[0])}`)
  return [
    {
      engine,
      name: 'serial numbers a second in a first sync',
      value: SERIALS / seconds,
      unit: '/s',
      note: `${SERIALS} in ${seconds.toFixed(1)} s`,
    },
    {
      engine,
      name: 'memory that the sync took at most',
      value: most - before,
      unit: 'MB',
      note: `${before} MB before, ${most} at most, ${after} after`,
    },
    {
      engine,
      name: 'calls for the assignment of all of them',
      value: calls() - callsBefore,
      unit: '',
      note: `in ${assignSeconds.toFixed(1)} s`,
    },
  ]
}

/** Waits until the server has written down what came of its last call. */
async function assignmentNoted(server: ServerProcess, serials: readonly string[]): Promise<void> {
  for (const serial of [serials[0], serials.at(-1)])
    await until('the assignment here', async () => {
      const { assignment } = await api<{ assignment: { state: string } | null }>(
        server,
        'GET',
        `/ade-devices/${serial}`,
      )
      return assignment?.state === 'assigned'
    })
}

/** Watches the memory of a server. */
function sampler(server: ServerProcess): { stop(): Promise<number> } {
  let isOver = false
  let most = 0
  const watching = (async () => {
    while (!isOver) {
      most = Math.max(most, (await server.usage()).rss)
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
    }
  })()
  return {
    async stop() {
      isOver = true
      await watching
      return most
    },
  }
}
