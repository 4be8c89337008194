import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { createSecureContext, getCACertificates } from 'node:tls'
import type { Clock } from './clock.ts'
import { isLoopbackHost } from './loopback.ts'
import { UpstreamError, fromNodeError } from './upstream-error.ts'

/** A request to another server. `headers` in any case; `signal` ends it early. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  readonly signal?: AbortSignal
}

/** A whole answer; `headers` in lower case, as Node gives them. */
export interface UpstreamAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** The way to other servers. */
export interface HttpClient {
  /**
   * Sends one request and reads its whole answer, whatever the status; redirects are answers like any other.
   * Rejects with UpstreamError, whose message names the host and never a header, a body or a query.
   */
  request(request: UpstreamRequest): Promise<UpstreamAnswer>
  /** Closes the kept connections. */
  close(): void
}

/** Options of a client: limits hold for each request, `maxBytes` for the body of its answer. */
export interface HttpClientOptions {
  /** PEM of CAs that are trusted besides those of the system. */
  readonly caPem?: string
  /** For the whole request, from the look-up of the name to the last byte of the answer. */
  readonly timeoutMs: number
  readonly maxBytes: number
  /** Of a longer answer, or one that takes too long to come whole, what there is by then is given (default: it fails). */
  readonly takesPart?: true
  /** Finds the addresses of a name, or refuses them; the connection goes to one of these (default: the system's). */
  readonly lookup?: LookupFunction
  readonly userAgent: string
  readonly clock: Clock
}

/** An idle connection is closed before the other side does it in the very moment of the next request. */
const IDLE_CONNECTION_MS = 4_000

/** Makes a client with connections of its own: https, or plain http to the loopback addresses. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { maxBytes, takesPart = false, lookup } = options
  const kept = { keepAlive: true, timeout: IDLE_CONNECTION_MS, ...(lookup && { lookup }) }
  const plain = new HttpAgent(kept)
  const secure = new HttpsAgent({ ...kept, ...trustOf(options.caPem) })

  function send(url: URL, { method, headers, body }: UpstreamRequest): ClientRequest {
    const https = url.protocol === 'https:'
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    return (https ? httpsRequest : httpRequest)(url, {
      method,
      agent: https ? secure : plain,
      headers: { 'user-agent': options.userAgent, ...headers, ...length },
    })
  }

  return {
    async request(request) {
      const url = allowedUrl(request.url)
      const deadline = new AbortController()
      const late = `${url.host} has not answered within ${options.timeoutMs / 1000} s`
      const undo = options.clock.after(options.timeoutMs, () =>
        deadline.abort(new UpstreamError('timeout', late)),
      )
      const signal = AbortSignal.any(
        request.signal === undefined ? [deadline.signal] : [deadline.signal, request.signal],
      )
      try {
        return await exchange(() => send(url, request), request, { url, signal, maxBytes, takesPart })
      } finally {
        undo()
      }
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

interface Limits {
  readonly url: URL
  readonly signal: AbortSignal
  readonly maxBytes: number
  readonly takesPart: boolean
}

function exchange(
  send: () => ClientRequest,
  request: UpstreamRequest,
  limits: Limits,
): Promise<UpstreamAnswer> {
  const { url, signal } = limits
  if (signal.aborted) return Promise.reject(stopReason(signal, url))
  return new Promise((resolve, reject) => {
    const sent = send()
    const fail = (error: Error) =>
      reject(signal.aborted ? stopReason(signal, url) : fromNodeError(error, url.host))
    const stop = () => sent.destroy(stopReason(signal, url))
    signal.addEventListener('abort', stop, { once: true })
    sent.on('close', () => signal.removeEventListener('abort', stop))
    sent.on('response', (message) => void collect(message, limits).then(resolve, fail))
    sent.on('error', (error: Error & { code?: string }) => {
      const stale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
      // Nothing but GET is sent again: another request may have been done, and were the second one refused, it would be
      // taken for one that was not.
      if (stale && request.method === 'GET' && !signal.aborted) {
        exchange(send, request, limits).then(resolve, reject)
      } else fail(error)
    })
    sent.end(request.body)
  })
}

function allowedUrl(text: string): URL {
  if (!URL.canParse(text)) throw new UpstreamError('not_allowed', 'this is no URL')
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw new UpstreamError('not_allowed', `the address of ${url.host} must not hold a user name or password`)
  }
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))) return url
  throw new UpstreamError(
    'not_allowed',
    `${url.protocol}//${url.host} may not be called: https is needed, plain http is for loopback addresses only`,
  )
}

/** One context for all connections, because reading the list of CAs takes milliseconds. */
function trustOf(caPem: string | undefined) {
  if (caPem === undefined) return {}
  // Node's own list holds what NODE_EXTRA_CA_CERTS adds.
  return { secureContext: createSecureContext({ ca: [...getCACertificates('default'), caPem] }) }
}

function stopReason(signal: AbortSignal, url: URL): UpstreamError {
  const reason: unknown = signal.reason
  if (reason instanceof UpstreamError) return reason
  return new UpstreamError('aborted', `the request to ${url.host} was given up`, { cause: reason })
}

async function collect(message: IncomingMessage, limits: Limits): Promise<UpstreamAnswer> {
  const { url, maxBytes, takesPart } = limits
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      size += chunk.length
      // Leaving the loop destroys the connection.
      if (size > maxBytes) {
        throw new UpstreamError('too_large', `${url.host} has answered with more than ${maxBytes} bytes`)
      }
      chunks.push(chunk)
    }
  } catch (error) {
    if (!takesPart) throw error
  }
  return { status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(chunks) }
}
