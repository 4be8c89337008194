import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import type { ClientCertificateOf } from './client-certificate.ts'
import { toAppError } from './errors.ts'

const BODY_LIMIT_BYTES = 16 * 1024 * 1024
const EMPTY = Buffer.alloc(0)
/** Type and subtype (RFC 9110, section 8.3.1); parameters may follow, in whatever form. */
const MEDIA_TYPE = /^\s*[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;[^;]*=[^;]*)*;?\s*$/

/** Refusals that a device is told as they are; any other below 500 is a plain 400. */
const OWN_STATUS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'forbidden',
  'not_found',
  'method_not_allowed',
  'payload_too_large',
])

/**
 * The scope of enrolled devices (`/mdm*`, `/scep`): bodies are raw Buffers whatever their content type, errors are a
 * status and the code in plain text, and no answer is ever a 401, which would make a device unenrol.
 */
export function deviceScope(deps: {
  log: Log
  metrics: Metrics
  clientCertificateOf: ClientCertificateOf
  routes: readonly FastifyPluginAsync[]
}): FastifyPluginAsync {
  return async (app) => {
    takeRawBodies(app)
    app.decorateRequest('clientCertificate', {
      getter(this: FastifyRequest) {
        return deps.clientCertificateOf(this.raw)
      },
    })
    app.setErrorHandler((thrown, request, reply) => refuse(deps.log, thrown, request, reply))
    app.addHook('onSend', (_request, reply, _payload, done) => {
      if (reply.statusCode === 401) {
        deps.log.error({ event: 'http.unauthorized_prevented', route: reply.request.routeOptions.url })
        reply.code(403).removeHeader('www-authenticate')
      }
      done()
    })
    app.addHook('onResponse', createAccessLog({ ...deps, scope: 'device', quiet: 'debug' }))
    for (const routes of deps.routes) await app.register(routes)
  }
}

function takeRawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) =>
    done(null, body),
  )
  // Fastify would refuse a header that names no media type; what a device says there must not decide whether it is heard.
  app.addHook('onRequest', (request, _reply, done) => {
    const type = request.raw.headers['content-type']
    if (type !== undefined && !MEDIA_TYPE.test(type))
      request.raw.headers['content-type'] = 'application/octet-stream'
    done()
  })
  app.addHook('preValidation', (request, _reply, done) => {
    request.body ??= EMPTY
    done()
  })
}

function refuse(log: Log, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAppError(thrown)
  const { status } = describeError(error.code)
  noteRefusal(log, error, request)
  reply
    .code(status >= 500 || OWN_STATUS.has(error.code) ? status : error.code === 'unauthenticated' ? 403 : 400)
    .type('text/plain; charset=utf-8')
    .send(`${error.code}\n`)
}
