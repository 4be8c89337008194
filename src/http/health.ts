import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config } from '../config/config.ts'
import { AppError } from '../kernel/errors.ts'
import { isLoopbackHost } from '../kernel/loopback.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { type Authenticate, requireOperator } from './authentication.ts'
import { isLoopback } from './proxies.ts'

/** Headers that show that someone else's request was passed on. */
const FORWARDING_HEADER = /^(x-forwarded-.*|x-real-ip|forwarded|via)$/

/** Whether the server can serve: `reason` says why not, `notes` what an operator should look at. */
export interface Readiness {
  reason?: string
  notes: readonly string[]
}

/** Adds `/healthz` (the process lives) and `/readyz` (it can serve; 503 says why not; then a line for each note). */
export function addHealth(app: FastifyInstance, readiness: () => Promise<Readiness>): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const { reason, notes } = await readiness()
    if (reason !== undefined) reply.code(503)
    return reply
      .header('cache-control', 'no-store')
      .type('text/plain')
      .send(`${[reason ?? 'ready', ...notes].join('\n')}\n`)
  })
}

/**
 * `/metrics` in Prometheus' text format, with a token of any role, or without one for programs of this machine: from
 * loopback to a listener on loopback, where nothing speaks of a proxy.
 */
export function metricsRoute(deps: {
  config: Pick<Config, 'listener' | 'operatorListener' | 'trustedProxies'>
  metrics: Metrics
  authenticate: Authenticate
}): FastifyPluginAsync {
  const { listener, operatorListener, trustedProxies } = deps.config
  const isOfThisMachine = isLoopbackHost((operatorListener ?? listener).host) && trustedProxies.length === 0
  return async (app) => {
    app.addHook('onRequest', async (request, reply) => {
      const isLocal =
        isOfThisMachine &&
        isLoopback(request.raw.socket.remoteAddress) &&
        // A page whose name was made to lead here (DNS rebinding) is not of this machine.
        isLoopbackHost(request.hostname) &&
        !Object.keys(request.headers).some((name) => FORWARDING_HEADER.test(name))
      if (isLocal) return
      await requireOperator(request, reply, { authenticate: deps.authenticate, basic: true })
    })
    app.get('/metrics', async (_request, reply) => {
      const { body, contentType } = await deps.metrics.render()
      return reply.type(contentType).send(body)
    })
  }
}

/** Whether the server can serve at the moment; `ready` throws where it cannot, and gives the notes. */
export function createReadiness(deps: {
  isDraining: () => boolean
  ready: () => Promise<readonly string[]>
  after: (ms: number, fn: () => void) => () => void
}): () => Promise<Readiness> {
  return async () => {
    if (deps.isDraining()) return { reason: 'draining', notes: [] }
    let cancel = () => {}
    const late = new Promise<never>((_resolve, reject) => {
      cancel = deps.after(READY_TIMEOUT_MS, () => reject(new AppError('database_unavailable')))
    })
    try {
      return { notes: await Promise.race([deps.ready(), late]) }
    } catch (error) {
      return { reason: error instanceof AppError ? error.code : 'not_ready', notes: [] }
    } finally {
      cancel()
    }
  }
}

const READY_TIMEOUT_MS = 3_000
