import type { FastifyReply, FastifyRequest, onResponseHookHandler } from 'fastify'
import { type AppError, describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { isOwn } from './own-view.ts'

/** The three scopes, plus what stands outside of them. */
type Scope = 'device' | 'enroll' | 'operator' | 'none'

type Level = 'debug' | 'info' | 'warn' | 'error'

/**
 * The hook that counts each answered request and writes one line about it: routes by their pattern, as a URL may
 * hold a key. `quiet` is the level of a success.
 */
export function createAccessLog(deps: {
  scope: Scope
  quiet: 'debug' | 'info'
  log: Log
  metrics: Metrics
}): onResponseHookHandler {
  const { scope, quiet, log } = deps
  const observe = createObserver(deps.metrics, scope)
  return (request, reply, done) => {
    if (isOwn(request)) return done()
    const route = request.routeOptions.url ?? 'unmatched'
    observe(route, reply.statusCode, reply.elapsedTime / 1000)
    const level = levelOf(scope, quiet, request, reply)
    if (log.isLevelEnabled(level)) writeLine(log, level, route, request, reply)
    done()
  }
}

/**
 * Notes what the request is refused with, for its log line. A client that went away in the middle of its request gets
 * no answer and so no line of the hook's: it has one here.
 */
export function noteRefusal(log: Log, error: AppError, request: FastifyRequest): void {
  request.refusal = error
  if (request.raw.complete || !request.raw.destroyed) return
  const { method, routeOptions, id, ip } = request
  const fields = { request_id: id, method, route: routeOptions.url ?? 'unmatched', address: ip }
  log.info(
    { event: 'http.aborted', reason: error.code, ...fields },
    'a client went away in the middle of its request',
  )
}

/** Finding a histogram's labels anew for each request would be most of the cost of counting. */
function createObserver(metrics: Metrics, scope: Scope) {
  const known = new Map<string, Map<number, { observe(seconds: number): void }>>()
  return (route: string, status: number, seconds: number): void => {
    let ofRoute = known.get(route)
    if (ofRoute === undefined) known.set(route, (ofRoute = new Map()))
    let histogram = ofRoute.get(status)
    if (histogram === undefined) {
      histogram = metrics.requests.labels({ scope, route, status: String(status) })
      ofRoute.set(status, histogram)
    }
    histogram.observe(seconds)
  }
}

function levelOf(scope: Scope, quiet: Level, request: FastifyRequest, reply: FastifyReply): Level {
  if (request.refusal !== null) {
    const { level } = describeError(request.refusal.code)
    return level === 'info' && scope === 'device' ? 'warn' : level
  }
  // Health is asked for every few seconds, and its answer is no error.
  if (scope === 'none') return quiet
  if (request.routeOptions.config.polled === true && reply.statusCode < 400) return 'debug'
  if (reply.statusCode >= 500) return 'error'
  return reply.statusCode >= 400 && scope === 'device' ? 'warn' : quiet
}

function writeLine(
  log: Log,
  level: Level,
  route: string,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const { refusal } = request
  const isInternal = refusal !== null && describeError(refusal.code).status >= 500
  log[level](
    {
      event: 'http.request',
      request_id: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      address: request.ip,
      ...(refusal === null ? {} : { reason: refusal.code, detail: refusal.message }),
      ...(isInternal ? { err: refusal.cause ?? refusal } : {}),
      ...(request.operator ? { actor_id: request.operator.id } : {}),
    },
    `${request.method} ${route} was answered with ${reply.statusCode}${refusal === null ? '' : `: ${refusal.message}`}`,
  )
}
