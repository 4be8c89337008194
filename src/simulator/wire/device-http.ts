import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

const TIMEOUT_MS = 60_000
const MAX_ANSWER = 32 * 1024 * 1024

/** What a device sends. */
interface HttpRequest {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST'
  url: string
  headers: Readonly<Record<string, string>>
  body?: Uint8Array
  /** PEM certificate and key shown in the TLS handshake. */
  identity?: { cert: string; key: string }
}

/** What came back, complete. */
export interface HttpAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** The way from a device to a server. */
export interface DeviceHttp {
  /** Rejects with ConnectionLost, or with MalformedHttp when what came is not HTTP. */
  send(request: HttpRequest): Promise<HttpAnswer>
  close(): void
}

/** The server was not there, or went away before its answer was complete. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
}

/** The answer breaks HTTP itself. */
export class MalformedHttp extends Error {
  override readonly name = 'MalformedHttp'
}

/** A client with kept-alive connections, shared by many devices. `ca`: PEM of the CAs that devices trust. */
export function createDeviceHttp(
  options: { ca?: string; maxSockets?: number; timeoutMs?: number } = {},
): DeviceHttp {
  const { ca, maxSockets = 64, timeoutMs = TIMEOUT_MS } = options
  const plain = new HttpAgent({ keepAlive: true, maxSockets })
  const secure = new HttpsAgent({ keepAlive: true, maxSockets, ...(ca === undefined ? {} : { ca }) })

  function send(request: HttpRequest): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const { body, identity, headers, method } = request
      const url = new URL(request.url)
      const https = url.protocol === 'https:'
      const length = body === undefined ? {} : { 'content-length': String(body.length) }
      const sent = (https ? httpsRequest : httpRequest)(url, {
        method,
        agent: https ? secure : plain,
        headers: { ...headers, ...length },
        timeout: timeoutMs,
        ...(https ? identity : {}),
      })
      const fail = (error: Error & { code?: string }) => {
        // A kept connection may have been closed just now; like every client, try once more on another.
        if (sent.reusedSocket && error.code === 'ECONNRESET') send(request).then(resolve, reject)
        else reject(classify(error))
      }
      sent.on('response', (message) => void collect(message).then(resolve, fail))
      sent.on('error', fail)
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      sent.end(body)
    })
  }

  return {
    send,
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

async function collect(message: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_ANSWER) throw new MalformedHttp(`an answer of more than ${MAX_ANSWER} bytes`)
    chunks.push(chunk)
  }
  return { status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(chunks) }
}

/** The parser's errors (HPE_*) are the server's fault; everything else looks like a lost connection. */
function classify(error: Error & { code?: string }): Error {
  if (error instanceof MalformedHttp) return error
  if (error.code?.startsWith('HPE_') === true && error.code !== 'HPE_INVALID_EOF_STATE') {
    return new MalformedHttp(`${error.code}: ${error.message}`, { cause: error })
  }
  return new ConnectionLost(error.message === '' ? (error.code ?? 'lost') : error.message, { cause: error })
}
