import { randomUUID } from 'node:crypto'
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { buffer } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import { systemClock, type Clock } from '../../kernel/clock.ts'
import { OID } from '../../protocol/asn1/index.ts'
import { parseCertificate, nameAttribute } from '../../protocol/x509/index.ts'
import { listen, type Place } from '../serving.ts'
import { createApnsCertificates, type ApnsCertificates } from './certificates.ts'
import { checkPush, type ValidPush, type Violation } from './push-check.ts'

/** How Node tells that a connection ended during the TLS handshake, where no call of the system failed. */
const GONE = new Set<string | undefined>(['ECONNRESET', 'EPIPE', 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING'])

/** A push that was received and found right, with what was answered. */
interface ReceivedPush extends ValidPush {
  at: Date
  apnsId: string
  status: number
}

/** What to answer instead of 200. `timestamp` (ms) goes with 410. */
type ScriptedAnswer =
  | { status: number; reason: string; timestamp?: number }
  /** 200, but only when `release()` is called. */
  | 'hold'
  /** The whole connection is cut without an answer. */
  | 'reset'
  /** 200, and a GOAWAY that names this stream as the last one that was processed. */
  | 'goaway'

/** A strict fake of Apple's push service: HTTP/2 over TLS, asking for a client certificate. */
export type FakeApns = Awaited<ReturnType<typeof startFakeApns>>

/** Options of the fake; `maxConcurrentStreams` is what its SETTINGS say. */
export interface FakeApnsOptions extends Place {
  clock?: Clock
  maxConcurrentStreams?: number
  certificates?: ApnsCertificates
  /** Ends connections whose certificate is not of its CA during the TLS handshake, as Apple does with revoked ones. */
  refuseForeignCertificates?: boolean
}

/** Starts the fake; it makes its own throw-away certificates unless given some. */
export async function startFakeApns(options: FakeApnsOptions = {}) {
  const { clock = systemClock } = options
  const certificates = options.certificates ?? (await createApnsCertificates(clock.now()))
  const desk = createDesk(clock)
  const server = createSecureServer({
    key: certificates.server.key,
    cert: certificates.server.certificate,
    ca: certificates.ca,
    requestCert: true,
    rejectUnauthorized: options.refuseForeignCertificates ?? false,
    minVersion: 'TLSv1.2',
    settings: { maxConcurrentStreams: options.maxConcurrentStreams ?? 1000 },
  })
  const sessions = watchSessions(server, desk.note)
  server.on('stream', (stream, headers) => void desk.serve(stream, headers))
  const place = await listen(server, options)
  return {
    ...desk.controls,
    /** What FIRSTBOOT_APNS_URL would say. */
    url: `https://${place}`,
    certificates,
    /** Connections made so far, and those open now. */
    connections: () => ({ total: sessions.total(), open: sessions.open.size }),
    async close(): Promise<void> {
      for (const session of sessions.open) session.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function watchSessions(server: Http2SecureServer, note: (message: string) => void) {
  const open = new Set<ServerHttp2Session>()
  let total = 0
  server.on('session', (session: ServerHttp2Session) => {
    total += 1
    open.add(session)
    // Apple does not want PRIORITY frames.
    session.on('priority', () => note('a PRIORITY frame was sent'))
    session.on('error', () => open.delete(session))
    session.on('close', () => open.delete(session))
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException) => {
    // A client that is gone in the middle of it, as one that was killed, has broken no rule.
    if (error.syscall === undefined && !GONE.has(error.code)) note('the TLS handshake failed')
  })
  return { open, total: () => total }
}

/** Judges the requests, answers them by script, and keeps the records. */
function createDesk(clock: Clock) {
  const pushes: ReceivedPush[] = []
  const violations: string[] = []
  const listeners: ((token: string, magic: string) => void)[] = []
  const scripts = new Map<string, ScriptedAnswer[]>()
  const held: (() => void)[] = []
  /** The stream that a session's GOAWAY named. */
  const lastStream = new WeakMap<object, number>()
  let answerForAll: ScriptedAnswer | null = null
  let untilGoAway = Infinity

  const note = (message: string) => void violations.push(message)

  function nextAnswer(token: string): ScriptedAnswer | undefined {
    untilGoAway -= 1
    if (untilGoAway === 0) return 'goaway'
    return answerForAll ?? scripts.get(token)?.shift() ?? scripts.get('*')?.shift()
  }

  async function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    // A client that goes away in the middle is its own affair.
    stream.on('error', () => stream.close())
    stream.on('priority', () => note('a PRIORITY frame was sent'))
    const body = await buffer(stream).catch(() => undefined)
    if (body === undefined || stream.destroyed) return
    // What was said not to be processed is not processed.
    if (stream.session && (stream.id ?? 0) > (lastStream.get(stream.session) ?? Infinity)) return
    const client = identify(stream.session, clock.now())
    const push = 'status' in client ? client : checkPush(headers, body, client)
    if ('message' in push) {
      note(`${push.reason}: ${push.message}`)
      return refuse(stream, push)
    }
    answer(stream, push, nextAnswer(push.token))
  }

  function answer(stream: ServerHttp2Stream, push: ValidPush, scripted: ScriptedAnswer | undefined): void {
    if (scripted === 'reset') return stream.session?.destroy()
    if (scripted === 'hold') return void held.push(() => accept(stream, push))
    if (typeof scripted === 'object') {
      pushes.push({ ...push, at: clock.now(), apnsId: '', status: scripted.status })
      return refuse(stream, scripted)
    }
    if (scripted === 'goaway') {
      if (stream.session) lastStream.set(stream.session, stream.id ?? 0)
      sayGoAway(stream)
    }
    accept(stream, push)
  }

  function accept(stream: ServerHttp2Stream, push: ValidPush): void {
    if (stream.destroyed) return
    const apnsId = randomUUID().toUpperCase()
    pushes.push({ ...push, at: clock.now(), apnsId, status: 200 })
    stream.respond({ ':status': 200, 'apns-id': apnsId }, { endStream: true })
    for (const listener of listeners) listener(push.token, push.magic)
  }

  const controls = {
    /** All pushes that were right, oldest first. */
    pushes: pushes as readonly ReceivedPush[],
    /** What the client did against the rules, in words; empty for a good client. */
    violations: violations as readonly string[],
    /** Calls `listener` for each push that was answered with 200: where a fake device wakes up. */
    onPush: (listener: (token: string, magic: string) => void) => void listeners.push(listener),
    /** Answers the next pushes to a token (lower-case hex, or `*` for those without a script of their own) in this order. */
    script: (token: string, ...answers: ScriptedAnswer[]) =>
      void scripts.set(token, [...(scripts.get(token) ?? []), ...answers]),
    /** Answers everything so, until it is called with null. */
    answerAll: (scripted: ScriptedAnswer | null) => void (answerForAll = scripted),
    /** Sends the answers that were held. */
    release: () => held.splice(0).forEach((send) => send()),
    /** How many answers are held. */
    held: () => held.length,
    /** After this many more pushes a GOAWAY follows, once. */
    goAwayAfter: (count: number) => void (untilGoAway = count),
  }
  return { serve, note, controls }
}

/** Names this stream as the last one that was processed: what the client opened after it was not. */
function sayGoAway(stream: ServerHttp2Stream): void {
  const session = stream.session
  if (session === undefined || session.destroyed) return
  session.goaway(0, stream.id, Buffer.from(JSON.stringify({ reason: 'Shutdown' })))
  stream.once('close', () => session.close())
}

function refuse(stream: ServerHttp2Stream, { status, reason, ...rest }: Omit<Violation, 'message'>): void {
  if (stream.destroyed) return
  const { timestamp } = rest as { timestamp?: number }
  stream.respond({ ':status': status, 'content-type': 'application/json' })
  stream.end(JSON.stringify({ reason, ...(timestamp === undefined ? {} : { timestamp }) }))
}

/** The topic in the client's certificate, or why it is of no use. */
function identify(session: Http2Session | undefined, now: Date): { topic: string; now: Date } | Violation {
  const refused = (reason: string, message: string) => ({ status: 403, reason, message })
  const socket = session?.socket
  const raw = socket instanceof TLSSocket ? socket.getPeerCertificate().raw : undefined
  if (raw === undefined) return refused('MissingProviderToken', 'no client certificate was presented')
  const certificate = parseCertificate(raw)
  const topic = nameAttribute(certificate.subject, OID.userId)
  if (topic === undefined) return refused('BadCertificate', 'the certificate has no UID in its subject')
  if (certificate.notAfter <= now) return refused('BadCertificate', 'the certificate has expired')
  return { topic, now }
}
