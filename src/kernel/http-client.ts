import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { createSecureContext, getCACertificates } from 'node:tls'
import type { Clock } from './clock.ts'
import { isLoopbackHost } from './loopback.ts'
import { UpstreamError, fromNodeError } from './upstream-error.ts'

/** A request to another server. `headers` in any case; `signal` ends it early. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
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

/** An answer whose body comes as it is read; whoever gets it reads or destroys that. */
type OpenAnswer = Omit<UpstreamAnswer, 'body'> & { readonly body: Readable }

/** The way to other servers. */
export interface HttpClient {
  /**
   * Sends one request and reads its whole answer, whatever the status; redirects are answers like any other.
   * Rejects with UpstreamError, whose message names the host and never a header, a body or a query.
   */
  request(request: UpstreamRequest): Promise<UpstreamAnswer>
  /** The same for an answer of any size: the time limit is for its head, and for each pause in its body. */
  open(request: UpstreamRequest): Promise<OpenAnswer>
  /** Closes the kept connections. */
  close(): void
}

/** Options of a client: limits hold for each request, `maxBytes` for the body of its answer. */
export interface HttpClientOptions {
  /** PEM of CAs that are trusted besides those of the system. */
  readonly caPem?: string
  /** What the client shows of itself in the TLS handshake, in PEM. */
  readonly identity?: { readonly certificate: string; readonly privateKey: string }
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
  const secure = new HttpsAgent({ ...kept, ...contextOf(options) })

  function send(url: URL, { method, headers, body }: UpstreamRequest): ClientRequest {
    const https = url.protocol === 'https:'
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    return (https ? httpsRequest : httpRequest)(url, {
      method,
      agent: https ? secure : plain,
      headers: { 'user-agent': options.userAgent, ...headers, ...length },
    })
  }

  async function within<T>(request: UpstreamRequest, take: Take<T>): Promise<T> {
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
      return await exchange(() => send(url, request), request, { url, signal, take })
    } finally {
      undo()
    }
  }

  return {
    request: (request) => within(request, (message, url) => collect(message, url, { maxBytes, takesPart })),
    open: (request) =>
      within(request, async (message) => {
        message.setTimeout(options.timeoutMs, () => message.destroy())
        return { status: message.statusCode ?? 0, headers: message.headers, body: message }
      }),
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

/** Makes what is given back of an answer whose head is there. */
type Take<T> = (message: IncomingMessage, url: URL) => Promise<T>

interface Exchange<T> {
  readonly url: URL
  readonly signal: AbortSignal
  readonly take: Take<T>
}

function exchange<T>(send: () => ClientRequest, request: UpstreamRequest, how: Exchange<T>): Promise<T> {
  const { url, signal, take } = how
  if (signal.aborted) return Promise.reject(stopReason(signal, url))
  return new Promise((resolve, reject) => {
    const sent = send()
    const fail = (error: Error) =>
      reject(signal.aborted ? stopReason(signal, url) : fromNodeError(error, url.host))
    const stop = () => sent.destroy(stopReason(signal, url))
    signal.addEventListener('abort', stop, { once: true })
    sent.on('close', () => signal.removeEventListener('abort', stop))
    sent.on('response', (message) => void take(message, url).then(resolve, fail))
    sent.on('error', (error: Error & { code?: string }) => {
      const stale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
      // Nothing but GET is sent again: another request may have been done, and were the second one refused, it would be
      // taken for one that was not.
      if (stale && request.method === 'GET' && !signal.aborted) {
        exchange(send, request, how).then(resolve, reject)
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
function contextOf({ caPem, identity }: Pick<HttpClientOptions, 'caPem' | 'identity'>) {
  if (caPem === undefined && identity === undefined) return {}
  return {
    secureContext: createSecureContext({
      // Node's own list holds what NODE_EXTRA_CA_CERTS adds.
      ...(caPem !== undefined && { ca: [...getCACertificates('default'), caPem] }),
      ...(identity !== undefined && { cert: identity.certificate, key: identity.privateKey }),
    }),
  }
}

function stopReason(signal: AbortSignal, url: URL): UpstreamError {
  const reason: unknown = signal.reason
  if (reason instanceof UpstreamError) return reason
  return new UpstreamError('aborted', `the request to ${url.host} was given up`, { cause: reason })
}

async function collect(
  message: IncomingMessage,
  url: URL,
  { maxBytes, takesPart }: { maxBytes: number; takesPart: boolean },
): Promise<UpstreamAnswer> {
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
