import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { IdempotencyKeys } from '../features/operators/index.ts'
import { AppError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { isRecord } from '../kernel/records.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import { addAudit, type AuditDeps } from './audit.ts'
import {
  type Authenticate,
  checkRole,
  decorateWithOperator,
  decorateWithRenewal,
  requireOperator,
} from './authentication.ts'
import { toOperatorError } from './errors.ts'
import { addIdempotency } from './idempotency.ts'
import { refuseNul, takeJson } from './bodies.ts'
import { completeRoute, describeApi, serveDocs } from './openapi.ts'
import { createOwnView, isOwn } from './own-view.ts'
import { sendProblem } from './problem.ts'
import type { RateLimit } from './rate-limit.ts'
import type { RoutesTable } from './routes-table.ts'
import { validatorCompiler } from './validation.ts'

const PREFIX = '/api/v1'

/** What the operator scope needs. */
type OperatorScopeDeps = {
  log: Log
  metrics: Metrics
  version: string
  authenticate: Authenticate
  idempotencyKeys: IdempotencyKeys
  audit: AuditDeps['audit']
  rateLimit: RateLimit
  table: RoutesTable
  routes: readonly FastifyPluginAsync[]
}

/**
 * The scope of operators, below `/api`: an API token and the role that the route asks for, JSON bodies without
 * unknown fields, problem documents, Idempotency-Key, If-Match, and the description of all that.
 */
export function operatorScope(deps: OperatorScopeDeps): FastifyPluginAsync {
  return async (api) => {
    decorateWithOperator(api, 'api')
    const view = createOwnView(api)
    const authenticate = view.recognise(deps.authenticate)
    addAudit(api, { ...deps, view })
    decorateWithRenewal(api, deps.authenticate)
    takeJson(api)
    api.setValidatorCompiler(validatorCompiler)
    api.setSerializerCompiler(() => (data) => JSON.stringify(data))
    api.setErrorHandler((thrown, request, reply) => {
      const error = toOperatorError(thrown)
      noteRefusal(deps.log, error, request)
      return sendProblem(error, request, reply)
    })
    api.setNotFoundHandler((request, reply) => refuseUnknown(deps.table, request, reply))
    api.addHook('onResponse', createAccessLog({ ...deps, scope: 'operator', quiet: 'info' }))
    api.addHook('onRequest', async (request, reply) => {
      reply.headers({
        'x-request-id': request.id,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      })
      const { role, basic } = request.routeOptions.config
      // An address that is no route tells strangers nothing.
      request.operator = await requireOperator(request, reply, { authenticate, basic: basic ?? false })
      if (!isOwn(request)) await deps.rateLimit(request.operator, reply)
      checkRole(request.operator, role ?? 'viewer')
      refuseNul(request)
    })
    await describeApi(api, deps.version)
    await api.register(serveDocs)
    await api.register(firstVersion(deps), { prefix: '/v1' })
  }
}

function firstVersion(deps: OperatorScopeDeps): FastifyPluginAsync {
  return async (app) => {
    app.addHook('onRoute', (route) => {
      if (route.config?.role === undefined) {
        throw new Error(`The route ${String(route.method)} ${route.url} declares no role.`)
      }
      if (route.schema?.hide !== true) completeRoute(route, PREFIX)
    })
    app.addHook('preValidation', (request, _reply, done) => {
      // A null body would be read as "no body".
      const hasSchema = request.routeOptions.schema?.body !== undefined
      const isEmpty =
        request.body === undefined || (isRecord(request.body) && Object.keys(request.body).length === 0)
      if (hasSchema || isEmpty || request.routeOptions.config.rawBody) done()
      else done(new AppError('invalid_request', 'This address takes no body.'))
    })
    addIdempotency(app, { keys: deps.idempotencyKeys, log: deps.log })
    app.get('/openapi.json', { schema: { hide: true }, config: { role: 'viewer', basic: true } }, () =>
      app.swagger(),
    )
    for (const routes of deps.routes) await app.register(routes)
  }
}

function refuseUnknown(table: RoutesTable, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const methods = table.methodsOf(request.url.split('?')[0] ?? '')
  const error =
    methods.length === 0
      ? new AppError('not_found', 'There is nothing at this address.')
      : new AppError('method_not_allowed', `This address takes ${methods.join(', ')}.`)
  if (methods.length > 0) reply.header('allow', methods.join(', '))
  request.refusal = error
  return sendProblem(error, request, reply)
}
