import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../kernel/clock.ts'
import { AppError, describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import { type ClientCertificateOf, decorateWithClientCertificate } from './client-certificate.ts'
import { toAppError } from './errors.ts'
import { createFailureLimiter } from './failures.ts'
import { takeBytes } from './bodies.ts'

/** MachineInfo and forms have some kilobytes, and whoever sends them is a stranger yet. */
const BODY_LIMIT_BYTES = 64 * 1024

/**
 * The scope in which devices get in (`/enroll`): raw bodies, empty refusals, and a limit for those who fail. Only a
 * request that fails is answered 429 then: a phone with a good key behind the same address still gets in.
 */
export function enrollScope(deps: {
  clock: Clock
  log: Log
  metrics: Metrics
  clientCertificateOf: ClientCertificateOf
  routes: readonly FastifyPluginAsync[]
}): FastifyPluginAsync {
  const limiter = createFailureLimiter(deps)

  function refuse(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = toAppError(thrown)
    if (error.code === 'too_many_failures') {
      reply.header('retry-after', String(Math.max(1, limiter.retryAfter(request.ip))))
    }
    noteRefusal(deps.log, error, request)
    reply.code(describeError(error.code).status).send()
  }

  return async (app) => {
    takeBytes(app, BODY_LIMIT_BYTES)
    decorateWithClientCertificate(app, deps.clientCertificateOf)
    app.decorateRequest('noteFailure', function (this: FastifyRequest) {
      limiter.note(this.ip)
      if (limiter.retryAfter(this.ip) > 0) throw new AppError('too_many_failures')
    })
    app.setErrorHandler(refuse)
    app.addHook('onResponse', createAccessLog({ ...deps, scope: 'enroll', quiet: 'info' }))
    for (const routes of deps.routes) await app.register(routes)
  }
}
