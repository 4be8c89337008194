import type { FastifyPluginAsync } from 'fastify'
import { hasRole } from '../features/operators/index.ts'
import { AppError, describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import type { Authenticate } from './authentication.ts'
import { basicCredentials } from './credentials.ts'
import { toAppError } from './errors.ts'
import { refuseNul } from './json.ts'

const USER_NAME = 'nanomdm'
const BODY_LIMIT_BYTES = 16 * 1024 * 1024

/**
 * The scope of the NanoMDM-compatible API: Basic authentication with user `nanomdm` and an API token of role operator
 * or admin as the password; raw bodies; errors as `{"error": "..."}`.
 */
export function nanomdmScope(deps: {
  log: Log
  metrics: Metrics
  authenticate: Authenticate
  routes: readonly FastifyPluginAsync[]
}): FastifyPluginAsync {
  return async (app) => {
    app.decorateRequest('actor')
    app.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES },
      (_request, body, done) => done(null, body),
    )
    app.setErrorHandler((thrown, request, reply) => {
      const error = toAppError(thrown)
      const { status, text } = describeError(error.code)
      noteRefusal(deps.log, error, request)
      return reply.code(status).send({ error: status < 500 ? error.message : text })
    })
    app.addHook('onRequest', async (request, reply) => {
      const given = basicCredentials(request.headers)
      const actor = given?.userName === USER_NAME ? await deps.authenticate(given.password) : undefined
      if (actor === undefined) {
        reply.header('www-authenticate', 'Basic realm="nanomdm"')
        throw new AppError('unauthenticated')
      }
      if (!hasRole(actor, 'operator')) throw new AppError('forbidden')
      request.actor = actor
      refuseNul(request)
    })
    app.addHook('onResponse', createAccessLog({ ...deps, scope: 'operator', quiet: 'info' }))
    for (const routes of deps.routes) await app.register(routes)
  }
}
