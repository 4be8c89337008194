import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { DeviceIdentity } from '../features/device-identity/index.ts'
import { type ErrorCode, describeError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createAccessLog, noteRefusal } from './access-log.ts'
import { type ClientCertificateOf, decorateWithClientCertificate } from './client-certificate.ts'
import { createDeviceBodies } from './device-bodies.ts'
import { toAppError } from './errors.ts'

const EMPTY = Buffer.alloc(0)
const RETRY_AFTER_SECONDS = '30'
/** Type and subtype (RFC 9110, section 8.3.1) with what spaces are around them. */
const MEDIA_TYPE = /^\s*[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*$/
/** Far longer than any media type; registered names have 127 characters at most (RFC 6838, section 4.2). */
const MAX_MEDIA_TYPE = 300

/** Refusals that a device is told as they are; any other below 500 is a plain 400. */
const OWN_STATUS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'forbidden',
  'not_found',
  'method_not_allowed',
  'payload_too_large',
  'unsupported_media_type',
])

/**
 * The scope of enrolled devices (`/mdm*`, `/scep`): bodies are raw Buffers whatever their content type, errors are a
 * status and the code in plain text, and no answer is ever a 401, which would make a device unenrol.
 */
export function deviceScope(deps: {
  log: Log
  metrics: Metrics
  clientCertificateOf: ClientCertificateOf
  prove: DeviceIdentity['prove']
  routes: readonly FastifyPluginAsync[]
}): FastifyPluginAsync {
  return async (app) => {
    takeRawBodies(app, deps.prove)
    decorateWithClientCertificate(app, deps.clientCertificateOf)
    app.setErrorHandler((thrown, request, reply) => refuse(deps.log, thrown, request, reply))
    app.addHook('onSend', (_request, reply, _payload, done) => {
      if (reply.statusCode === 401) {
        deps.log.error(
          { event: 'http.unauthorized_prevented', route: reply.request.routeOptions.url },
          'an answer to a device would have been 401, which unenrolls it; it was 403',
        )
        reply.code(403).removeHeader('www-authenticate')
      }
      done()
    })
    app.addHook('onResponse', createAccessLog({ ...deps, scope: 'device', quiet: 'debug' }))
    for (const routes of deps.routes) await app.register(routes)
  }
}

function takeRawBodies(app: FastifyInstance, prove: DeviceIdentity['prove']): void {
  app.removeAllContentTypeParsers()
  app.decorateRequest('proof')
  app.decorateRequest('response')
  app.decorateRequest('credentials', {
    getter(this: FastifyRequest) {
      const { clientCertificate, headers } = this
      const signature = headers['mdm-signature']
      return { clientCertificate, signature: Array.isArray(signature) ? signature[0] : signature }
    },
  })
  app.addContentTypeParser('*', createDeviceBodies({ prove: (request) => prove(request.credentials) }))
  // Fastify would refuse a header that names no media type; what a device says there must not decide whether it is heard.
  app.addHook('onRequest', (request, reply, done) => {
    request.response = reply.raw
    const { headers } = request.raw
    const type = headers['content-type']
    if (type !== undefined) headers['content-type'] = mediaTypeOf(type)
    done()
  })
  app.addHook('preValidation', (request, _reply, done) => {
    request.body ??= EMPTY
    done()
  })
}

/** The media type without parameters, which nobody here looks at. */
function mediaTypeOf(header: string): string {
  const end = header.indexOf(';')
  const type = end < 0 ? header : header.slice(0, end)
  return type.length <= MAX_MEDIA_TYPE && MEDIA_TYPE.test(type) ? type : 'application/octet-stream'
}

function refuse(log: Log, thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toAppError(thrown)
  const { status } = describeError(error.code)
  noteRefusal(log, error, request)
  if (error.code === 'overloaded') reply.header('retry-after', RETRY_AFTER_SECONDS)
  reply
    .code(status >= 500 || OWN_STATUS.has(error.code) ? status : error.code === 'unauthenticated' ? 403 : 400)
    .type('text/plain; charset=utf-8')
    .send(`${error.code}\n`)
}
