import type { LoadResult } from './load.ts'
import type { Row } from './report.ts'
import type { ServerProcess } from './server-process.ts'

/**
 * Runs something against a server and says what it cost; throws when a request was not answered with 200, unless the server
 * `mayFail`: the baseline does so under a load that is too much for it, and what failed is not counted then.
 */
export async function measure(
  name: string,
  server: ServerProcess,
  run: () => Promise<LoadResult>,
  mayFail = false,
): Promise<Omit<Row, 'scenario' | 'engine' | 'connections' | 'server'>> {
  const before = await server.usage()
  const result = await run()
  const after = await server.usage()
  if (result.failures > 0 && !mayFail)
    throw new Error(`${name}: ${result.failures} of ${result.requests} requests failed`)
  return {
    perSecond: result.requests / result.seconds,
    p50: result.p50,
    p99: result.p99,
    cpuMs: ((after.cpu - before.cpu) / result.requests) * 1000,
    maxRss: after.maxRss,
    failures: result.failures,
  }
}
