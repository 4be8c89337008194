import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config } from '../config/config.ts'
import { AppError } from '../kernel/errors.ts'
import { isLoopbackHost } from '../kernel/loopback.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { type Authenticate, requireOperator } from './authentication.ts'
import { isLoopback } from './proxies.ts'

/** Headers that show that someone else's request was passed on. */
const FORWARDING_HEADER = /^(x-forwarded-.*|x-real-ip|forwarded|via)$/

/** Adds `/healthz` (the process lives) and `/readyz` (it can serve; 503 says why not). */
export function addHealth(app: FastifyInstance, whyNotReady: () => Promise<string | undefined>): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const reason = await whyNotReady()
    if (reason !== undefined) reply.code(503)
    return reply
      .header('cache-control', 'no-store')
      .type('text/plain')
      .send(`${reason ?? 'ready'}\n`)
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
      await requireOperator(request, reply, { authenticate: deps.authenticate, role: 'viewer', basic: true })
    })
    app.get('/metrics', async (_request, reply) => {
      const { body, contentType } = await deps.metrics.render()
      return reply.type(contentType).send(body)
    })
  }
}

/** Why the server cannot serve at the moment, or undefined when it can. */
export function createReadiness(deps: {
  isDraining: () => boolean
  ready: () => Promise<void>
  after: (ms: number, fn: () => void) => () => void
}): () => Promise<string | undefined> {
  return async () => {
    if (deps.isDraining()) return 'draining'
    let cancel = () => {}
    const late = new Promise<never>((_resolve, reject) => {
      cancel = deps.after(READY_TIMEOUT_MS, () => reject(new AppError('database_unavailable')))
    })
    try {
      await Promise.race([deps.ready(), late])
      return undefined
    } catch (error) {
      return error instanceof AppError ? error.code : 'not_ready'
    } finally {
      cancel()
    }
  }
}

const READY_TIMEOUT_MS = 3_000
