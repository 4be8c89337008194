import type { FastifyInstance } from 'fastify'
import type { Clock } from '../kernel/clock.ts'

const BOUND_MS = 10_000
const IDLE_CHECK_MS = 50

/**
 * Closes a listener: no new connections, running requests are answered, connections end as they fall idle, and after
 * `boundMs` those that are left are cut.
 */
export async function drain(app: FastifyInstance, clock: Clock, boundMs = BOUND_MS): Promise<void> {
  const { server } = app
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS)
  const cancel = clock.after(boundMs, () => server.closeAllConnections())
  try {
    await app.close()
  } finally {
    clearInterval(idle)
    cancel()
  }
}
