import type { ClientHttp2Session, SecureClientSessionOptions } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { isIP } from 'node:net'
import { Agent } from 'http2-wrapper'
import type { Clock } from '../../kernel/clock.ts'
import { exchange, type ApnsAnswer } from './exchange.ts'
import type { ApnsRequest } from './request.ts'
import { readApnsAnswer, type ApnsOutcome } from './response.ts'
import { TransportError, transportErrorOf } from './transport-error.ts'

const APNS_CONNECT_TIMEOUT_MS = 10_000
const PING_EVERY_MS = 30 * 60_000
const PING_TIMEOUT_MS = 10_000
/** Apple wants connections kept; one that is not needed for half a day may go. */
const IDLE_CLOSE_MS = 12 * 60 * 60_000

/** How to reach the push service and as whom. Certificate, key and CA are PEM. */
export interface ConnectionOptions {
  /** `https://host:port`. */
  origin: string
  /** CAs to trust instead of the system's, for a fake of Apple. */
  ca?: string | undefined
  certificate: string
  privateKey: string
  clock: Clock
}

/** One HTTP/2 connection that Apple has greeted with its SETTINGS. */
export type ApnsConnection = Awaited<ReturnType<typeof openConnection>>

/**
 * Connects with TLS 1.2 or newer and ALPN h2, and waits for the server's SETTINGS. `onChange` is called whenever room
 * or usability may have changed. Rejects with a TransportError.
 */
export async function openConnection(options: ConnectionOptions, onChange: () => void) {
  const { session, failure } = await connect(options)
  const { clock } = options
  const state = { open: 0, answered: 0, usable: true, lastUsed: clock.now().getTime() }
  let farewell: ApnsOutcome | undefined

  function retire(): void {
    state.usable = false
    onChange()
  }

  session.on('goaway', (_code, _lastStream, data: Uint8Array | undefined) => {
    if (data !== undefined && data.length > 0) {
      farewell = readApnsAnswer(400, undefined, Buffer.from(data).toString('utf8'))
    }
    retire()
  })
  // The reason of an end reaches each open stream as well; without a listener it would end the process.
  session.on('error', retire)
  session.on('remoteSettings', onChange)
  const ended = new Promise<void>((resolve) => session.once('close', () => resolve(retire())))
  const stopPings = keepAlive(session, clock, () => state.lastUsed)
  void ended.then(stopPings)

  /** Sends a request; rejects with a TransportError when there is no answer. */
  async function send(request: ApnsRequest, timeoutMs: number): Promise<ApnsAnswer> {
    const answeredBefore = state.answered
    state.open += 1
    state.lastUsed = clock.now().getTime()
    try {
      const answer = await exchange(session, request, clock, timeoutMs)
      state.answered += 1
      return answer
    } catch (error) {
      const lost = transportErrorOf(failure() ?? error, 'ConnectionLost')
      // Nothing at all came during the whole wait: the connection is dead, however open it looks.
      if (lost.reason === 'Timeout' && state.answered === answeredBefore) session.destroy()
      throw lost
    } finally {
      state.open -= 1
      onChange()
    }
  }

  return {
    /** Whether new streams may be opened. */
    usable: () => state.usable && !session.closed && !session.destroyed,
    /** How many more streams Apple lets us open now. */
    room: () => (session.remoteSettings?.maxConcurrentStreams ?? 1) - state.open,
    send,
    /** Set when Apple said in its GOAWAY what it dislikes. */
    farewell: () => farewell,
    /** Requests answered so far. */
    answered: () => state.answered,
    /** Opens no more streams and ends when the open ones have. */
    close() {
      state.usable = false
      if (!session.closed && !session.destroyed) session.close()
    },
    /** Resolves when the connection has ended. */
    ended,
  }
}

async function connect(
  options: ConnectionOptions,
): Promise<{ session: ClientHttp2Session; failure: () => Error | undefined }> {
  const { origin, ca, certificate, privateKey, clock } = options
  // One agent per connection: an agent would hand out a session that has had its GOAWAY again. It is asked only once,
  // so there is one session; with its limit of sessions at 1 it would close that whenever no stream is open.
  const agent = new Agent()
  const failed = Promise.withResolvers<never>()
  let session: ClientHttp2Session | undefined
  let socket: TLSSocket | undefined
  let failure: Error | undefined
  const stop = clock.after(APNS_CONNECT_TIMEOUT_MS, () => fail(new TransportError('ConnectTimeout')))

  // An alert after the handshake (TLS 1.3 refuses our certificate that way) reaches the socket only, not the session.
  function fail(error: Error): void {
    failure ??= error
    failed.reject(error)
    session?.destroy()
    socket?.destroy()
  }

  function createConnection(url: URL, settings: SecureClientSessionOptions): TLSSocket {
    socket = Agent.connect(url, settings)
    return socket.on('error', fail)
  }

  const host = new URL(origin).hostname.replace(/^\[|\]$/g, '')
  const connecting = agent.getSession(origin, {
    cert: certificate,
    key: privateKey,
    minVersion: 'TLSv1.2',
    createConnection,
    ...(ca === undefined ? {} : { ca }),
    // An IP address is no server name (RFC 6066, section 3).
    ...(isIP(host) === 0 ? {} : { servername: '' }),
  })
  failed.promise.catch(() => undefined)
  connecting.catch(() => undefined)
  try {
    session = await Promise.race([connecting, failed.promise])
    return { session, failure: () => failure }
  } catch (error) {
    throw transportErrorOf(error, 'ConnectFailed')
  } finally {
    stop()
  }
}

/** Pings a silent connection, ends it when no answer comes, and closes it when nobody has needed it for long. */
function keepAlive(session: ClientHttp2Session, clock: Clock, lastUsed: () => number): () => void {
  let stop = clock.after(PING_EVERY_MS, tick)
  function tick(): void {
    if (session.closed || session.destroyed) return
    if (clock.now().getTime() - lastUsed() >= IDLE_CLOSE_MS) return session.close()
    const cancel = clock.after(PING_TIMEOUT_MS, () => session.destroy())
    session.ping(() => cancel())
    stop = clock.after(PING_EVERY_MS, tick)
  }
  return () => stop()
}
