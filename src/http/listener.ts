import {
  type ConnectionError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  fastify,
} from 'fastify'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { AppError } from '../kernel/errors.ts'
import type { Log } from '../kernel/log.ts'
import { boundBodies } from './body-deadlines.ts'
import { toAppError } from './errors.ts'
import { sendProblem } from './problem.ts'
import type { TrustsPeer } from './proxies.ts'
import type { createRequestIds } from './request-ids.ts'

/** How long a client may take, in milliseconds. */
export type Timeouts = {
  /** For all headers of a request. */
  headers: number
  /** For a whole request, its body included, unless its route allows it more. */
  request: number
  /** An idle connection; longer than the 60 s of common load balancers, so that they close first. */
  keepAlive: number
  /** How often the first two are checked. */
  check: number
  /** For a TLS handshake. */
  handshake: number
  /** Without a byte in either direction while a request is read or answered. */
  silence: number
}

/** What is meant when nothing else is said. */
export const DEFAULT_TIMEOUTS: Timeouts = {
  headers: 15_000,
  request: 60_000,
  keepAlive: 75_000,
  check: 5_000,
  handshake: 15_000,
  silence: 120_000,
}

/** Mdm-Signature, a proxy's certificate header and SCEP's GET messages are some kilobytes each; lists of ids may take all. */
const MAX_HEADER_BYTES = 64 * 1024
/** A year (RFC 6797), for this host alone: others of the domain are not ours to bind. */
const HSTS = 'max-age=31536000'
/** Of an id or key; a longer one names nothing. */
const MAX_PARAM_LENGTH = 512

/** What all listeners of a server share. */
type ListenerOptions = {
  log: Log
  trusts: TrustsPeer
  requestId: ReturnType<typeof createRequestIds>
  timeouts: Timeouts
  isDraining: () => boolean
  /** Whether clients reach this server by https, here or at a proxy before it. */
  isSecure: boolean
}

/** A Fastify instance with our limits and without any answer of Fastify's own; `tls` is null for plain HTTP. */
export function createListener(options: ListenerOptions, tls: ServerOptions | null): FastifyInstance {
  const { log, trusts, requestId, timeouts } = options
  const server = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: timeouts.headers,
    requestTimeout: 0,
    connectionsCheckingInterval: timeouts.check,
  }
  const settings: FastifyServerOptions = {
    logger: false,
    genReqId: requestId,
    requestIdHeader: false,
    trustProxy: (address: string) => trusts(address),
    keepAliveTimeout: timeouts.keepAlive,
    requestTimeout: 0,
    connectionTimeout: timeouts.silence,
    return503OnClosing: false,
    // Addresses that somebody put together have a slash too many now and then.
    routerOptions: {
      maxParamLength: MAX_HEADER_BYTES,
      ignoreTrailingSlash: true,
      ignoreDuplicateSlashes: true,
    },
    frameworkErrors: (error, request, reply) => refuseUrl(log, error, request, reply),
    clientErrorHandler: (error, socket) => refuseConnection(log, error, socket),
  }
  const app =
    tls === null
      ? fastify({ ...settings, http: server })
      : (fastify({ ...(settings as object), https: { ...server, ...tls } }) as unknown as FastifyInstance)
  app.removeAllContentTypeParsers()
  app.decorateRequest('refusal', null)
  boundBodies(app, {
    ms: timeouts.request,
    checkMs: timeouts.check,
    onLate: (socket) => refuseConnection(log, tooSlow(), socket),
  })
  app.addHook('onRequest', (request, _reply, done) => {
    const params = Object.values(request.params as Record<string, string>)
    const isLong = params.some(({ length }) => length > MAX_PARAM_LENGTH)
    done(isLong && !request.routeOptions.config.longParams ? new AppError('not_found') : undefined)
  })
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    done(codingProblem(request))
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (options.isDraining()) reply.header('connection', 'close')
    if (options.isSecure) reply.header('strict-transport-security', HSTS)
    done()
  })
  return app
}

/** Bodies are taken as they are: nothing here unpacks them. */
function codingProblem({ headers }: FastifyRequest): AppError | undefined {
  const content = headers['content-encoding']?.trim().toLowerCase() ?? ''
  const transfer = headers['transfer-encoding']?.trim().toLowerCase() ?? ''
  if ((content === '' || content === 'identity') && (transfer === '' || transfer === 'chunked'))
    return undefined
  return new AppError(
    'unsupported_media_type',
    'Bodies are taken without Content-Encoding and Transfer-Encoding.',
  )
}

/** An address that cannot be decoded belongs to no scope. */
function refuseUrl(log: Log, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const fields = { request_id: request.id, address: request.ip }
  log.info(
    { event: 'http.bad_request', reason: 'bad_url', ...fields },
    'a request came for an address that cannot be read',
  )
  if (request.url.startsWith('/api/')) sendProblem(toAppError(error), request, reply)
  else reply.code(400).send()
}

/** A request that is no HTTP, too slow or has too large a header: its connection has no other use. */
function refuseConnection(log: Log, error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket instanceof TLSSocket && isInHandshake(socket)) {
    log.info(
      { event: 'http.handshake_failed', reason: error.code, address: socket.remoteAddress },
      'http.handshake_failed',
    )
    socket.destroy()
    return
  }
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? '408 Request Timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : '400 Bad Request'
  log.info(
    { event: 'http.bad_request', reason: error.code, address: socket.remoteAddress },
    'something came that is no HTTP request',
  )
  if (socket.writable) socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
  socket.destroySoon()
}

/** As Node tells of a request that took too long. */
function tooSlow(): ConnectionError {
  return Object.assign(new Error('Request timeout'), {
    code: 'ERR_HTTP_REQUEST_TIMEOUT',
    bytesParsed: 0,
    rawPacket: { type: 'Buffer', data: [] },
  })
}

/** Nothing can be sent before its end, so a polite good-bye would wait for ever. */
function isInHandshake(socket: TLSSocket & { secureConnecting?: boolean }): boolean {
  return socket.secureConnecting === true
}
