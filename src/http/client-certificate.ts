import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { readCertificateHeader } from './certificate-header.ts'
import type { TrustsPeer } from './proxies.ts'

/** How often to tell of a header from an address that is not a trusted proxy. */
const WARNING_INTERVAL_MS = 60_000

/** Finds the certificate (DER) that the client of a request proved to own; undefined when there is none. */
export type ClientCertificateOf = (request: IncomingMessage) => Buffer | undefined

/** Lets the routes of a scope ask for it. */
export function decorateWithClientCertificate(app: FastifyInstance, of: ClientCertificateOf): void {
  app.decorateRequest('clientCertificate', {
    getter(this: FastifyRequest) {
      return of(this.raw)
    },
  })
}

/**
 * Reads it from the proxy's header when the peer is a trusted proxy, else from our own TLS connection. A trusted
 * proxy's own TLS certificate is never taken for the device's. The header from anyone else is ignored and logged.
 */
export function createClientCertificates(deps: {
  header: string | null
  trusts: TrustsPeer
  log: Log
  clock: Clock
}): ClientCertificateOf {
  const { header, trusts, log, clock } = deps
  const ofSockets = new WeakMap<TLSSocket, Buffer | null>()
  let lastWarning = Number.NEGATIVE_INFINITY

  function warn(event: string, address: string | undefined): void {
    const now = clock.now().getTime()
    if (now - lastWarning < WARNING_INTERVAL_MS) return
    lastWarning = now
    log.warn({ event, address }, 'the client certificate header of a request does not count')
  }

  function ofSocket(socket: TLSSocket): Buffer | undefined {
    let certificate = ofSockets.get(socket)
    if (certificate === undefined) {
      certificate = socket.getPeerX509Certificate()?.raw ?? null
      ofSockets.set(socket, certificate)
    }
    return certificate ?? undefined
  }

  return (request) => {
    const { socket } = request
    const value = header === null ? undefined : request.headers[header]
    const isProxy = header !== null && trusts(socket.remoteAddress)
    if (value !== undefined && !isProxy) warn('http.client_certificate_header_ignored', socket.remoteAddress)
    if (!isProxy) return socket instanceof TLSSocket ? ofSocket(socket) : undefined
    if (value === undefined || value === '') return undefined
    const certificate = typeof value === 'string' ? readCertificateHeader(value) : undefined
    if (certificate === undefined) warn('http.client_certificate_header_invalid', socket.remoteAddress)
    return certificate
  }
}
