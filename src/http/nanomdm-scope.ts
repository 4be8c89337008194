import type { FastifyPluginAsync } from 'fastify'
import { toJsonText } from '../features/nanomdm/index.ts'
import { AppError, describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import { addAudit, type AuditDeps } from './audit.ts'
import { type Authenticate, checkRole, decorateWithOperator } from './authentication.ts'
import { basicCredentials } from './credentials.ts'
import { toOperatorError } from './errors.ts'
import { refuseNul, takeBytes } from './bodies.ts'
import { createSiteCheck } from './other-sites.ts'
import { shorten } from './problem.ts'
import type { RateLimit } from './rate-limit.ts'

const USER_NAME = 'nanomdm'
const BODY_LIMIT_BYTES = 16 * 1024 * 1024

/**
 * The scope of the NanoMDM-compatible API: Basic authentication with user `nanomdm` and an API token as the password, of role
 * operator or the greater one that the route asks for; raw bodies; errors as `{"error": "..."}`. As browsers keep such a
 * password and send it along by themselves, requests of pages of other sites are refused.
 */
export function nanomdmScope(deps: {
  config: { publicUrl: string }
  log: Log
  metrics: Metrics
  authenticate: Authenticate
  audit: AuditDeps['audit']
  rateLimit: RateLimit
  routes: readonly FastifyPluginAsync[]
}): FastifyPluginAsync {
  const checkSite = createSiteCheck(deps.config.publicUrl)
  return async (app) => {
    decorateWithOperator(app, 'nanomdm')
    addAudit(app, deps)
    takeBytes(app, BODY_LIMIT_BYTES)
    app.setErrorHandler((thrown, request, reply) => {
      const error = toOperatorError(thrown)
      const { status, text } = describeError(error.code)
      noteRefusal(deps.log, error, request)
      const body = toJsonText({ error: status < 500 ? shorten(error.message) : text })
      return reply.code(status).header('content-type', 'application/json').send(Buffer.from(body))
    })
    app.addHook('onRequest', async (request, reply) => {
      checkSite(request)
      refuseNul(request)
      const { open = false, role = 'operator' } = request.routeOptions.config
      if (open) return
      const given = basicCredentials(request.headers)
      const operator = given?.userName === USER_NAME ? await deps.authenticate(given.password) : undefined
      if (operator === undefined) {
        reply.header('www-authenticate', 'Basic realm="nanomdm"')
        throw new AppError('unauthenticated')
      }
      request.operator = operator
      await deps.rateLimit(operator, reply)
      checkRole(operator, role)
    })
    app.addHook('onResponse', createAccessLog({ ...deps, scope: 'operator', quiet: 'info' }))
    for (const routes of deps.routes) await app.register(routes)
  }
}
