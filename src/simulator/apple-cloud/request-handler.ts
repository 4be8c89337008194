import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../kernel/clock.ts'
import { parseRecord } from '../../kernel/records.ts'
import { refused, writeError, type AdeAnswer, type ErrorShape } from './answers.ts'
import type { CallScript, ScriptedCall } from './call-script.ts'
import type { AdeCalls, CallContext } from './calls.ts'
import type { AppleServer, Organization } from './organization.ts'
import { MAX_LIMIT, type Paging } from './paging.ts'
import type { AdeSessions } from './sessions.ts'
import type { AdeCall, AdeWatch } from './watch.ts'

/** A request with its whole body. */
interface Arrived {
  request: IncomingMessage
  response: ServerResponse
  body: Buffer
  /** Our own address. */
  base: string
}

interface RequestHandlerDeps {
  organization: Organization
  clock: Clock
  watch: AdeWatch
  script: CallScript
  calls: AdeCalls
  sessions: AdeSessions
  paging: Paging
}

/** What is answered, and the token to use from now on. */
interface Outcome {
  answer: AdeAnswer
  renewed?: string
}

type Handler = (context: CallContext, twist: ScriptedCall) => AdeAnswer

const SESSION = 'x-adm-auth-session'
const NEWEST_VERSION = 10
const PAGES = ['/server/devices', '/devices/sync']
/** What was done is told in a way that no client can read. */
const UNREADABLE: readonly ScriptedCall[] = ['html', 'half']
const HTML =
  '<!DOCTYPE html><html><head><title>Sign in to the guest network</title></head><body></body></html>'

/** Judges the requests, routes them, and answers by script or rightly. */
export function createRequestHandler(deps: RequestHandlerDeps) {
  const { clock, watch, script, calls, sessions } = deps
  const handlers = createHandlers(deps)
  const held: (() => void)[] = []
  let shape: ErrorShape = 'bare'
  let putOnly = false

  /** Whose session it is, and what is answered without any script. */
  function work(arrived: Arrived, call: AdeCall, twist: ScriptedCall): Outcome {
    const { request, body, base } = arrived
    const { headers } = request
    if (headers['user-agent'] === undefined) return { answer: refused(400, 'USER_AGENT_MISSING') }
    if (call.path === '/session') {
      if (!isJson(headers)) return { answer: refused(400, 'MALFORMED_REQUEST_BODY') }
      return { answer: sessions.logIn({ url: base + request.url!, authorization: headers.authorization }) }
    }
    const session = sessions.use(textOf(headers, SESSION))
    if ('status' in session) return { answer: session }
    const { server, renewed } = session
    const parsed = body.length === 0 ? {} : parseRecord(body.toString('utf8'))
    if (parsed === undefined) {
      watch.report('body_invalid', `${call.method} ${call.path}: no JSON object`)
      return { answer: refused(400, 'MALFORMED_REQUEST_BODY'), renewed }
    }
    const handler = find(call)
    if (typeof handler !== 'function') return { answer: handler, renewed }
    const { searchParams: query } = new URL(request.url!, base)
    const version = Number(textOf(headers, 'x-server-protocol-version') ?? 1)
    return { answer: handler({ server, version, query, body: parsed, call }, twist), renewed }
  }

  function find({ method, path }: AdeCall): Handler | AdeAnswer {
    if (putOnly && method === 'POST' && path === '/profile/devices') return refused(405, 'METHOD_NOT_ALLOWED')
    const handler = handlers[`${method} ${path}`]
    if (handler !== undefined) return handler
    watch.report('unknown_call', `${method} ${path}`)
    return refused(404, 'NOT_FOUND')
  }

  /** A scripted refusal, and what goes with it. */
  function trouble(
    twist: ScriptedCall,
    server: AppleServer | undefined,
    token: string | undefined,
  ): Outcome | undefined {
    if (typeof twist !== 'object') return undefined
    if ('raw' in twist) return { answer: { status: twist.answerStatus ?? 200, code: '' } }
    if (!('status' in twist)) return undefined
    const { status, code = '', retryAfter } = twist
    if (status === 401 || code === 'FORBIDDEN') sessions.lose(token)
    if (retryAfter !== undefined && server !== undefined) watch.pause(server, retryAfter)
    return { answer: { status, code, ...(retryAfter === undefined ? {} : { retryAfter }) } }
  }

  function wait(twist: ScriptedCall): Promise<void> | undefined {
    if (twist === 'hold') return new Promise((resolve) => held.push(resolve))
    if (typeof twist !== 'object' || !('delayMs' in twist)) return undefined
    return new Promise((resolve) => clock.after(twist.delayMs, resolve))
  }

  async function serve(arrived: Arrived): Promise<void> {
    const { request, response, base } = arrived
    const { headers, method = '' } = request
    const call = watch.begin(method, new URL(request.url!, base).pathname)
    const token = textOf(headers, SESSION)
    const server = sessions.serverOf(token, headers.authorization)
    call.server = server?.name
    checkHeaders(headers, call, watch)
    if (server !== undefined) watch.checkPause(server, `${method} ${call.path}`)
    const twist = script.next(call.path)
    if (twist === 'reset') return void response.socket?.destroy()
    const isPage = server !== undefined && PAGES.includes(call.path)
    const end = isPage ? watch.beginPage(server) : undefined
    const { answer, renewed } = trouble(twist, server, token) ?? work(arrived, call, twist)
    response.on('close', () => {
      if (!response.writableFinished || UNREADABLE.includes(twist)) calls.unsure(call)
      end?.()
    })
    await wait(twist)
    if (twist === 'lost') return void response.socket?.destroy()
    call.status = answer.status
    call.code = 'code' in answer ? answer.code : undefined
    if (renewed !== undefined) response.setHeader(SESSION, renewed)
    send(response, answer, twist, shape)
  }

  return {
    serve,
    release: () => held.splice(0).forEach((go) => go()),
    held: () => held.length,
    /** How error words are written (`bare` at first). */
    writeErrors: (next: ErrorShape) => void (shape = next),
    /** POST /profile/devices is answered with 405, as by Apple's own simulator. */
    assignByPutOnly: (only: boolean) => void (putOnly = only),
  }
}

function send(response: ServerResponse, answer: AdeAnswer, twist: ScriptedCall, shape: ErrorShape): void {
  response.statusCode = answer.status
  if (typeof twist === 'object' && 'raw' in twist) {
    for (const [name, value] of Object.entries(twist.headers ?? {})) response.setHeader(name, value)
    return void response.end(twist.raw)
  }
  if ('code' in answer) {
    const { type, body } = writeError(answer.code, shape)
    if (answer.retryAfter !== undefined) response.setHeader('retry-after', String(answer.retryAfter))
    return void response.setHeader('content-type', type).end(body)
  }
  const isEdited = typeof twist === 'object' && 'edit' in twist
  const text = JSON.stringify(isEdited ? twist.edit(answer.json) : answer.json)
  response.setHeader('content-type', twist === 'html' ? 'text/html' : 'application/json;charset=UTF-8')
  response.end(twist === 'html' ? HTML : twist === 'half' ? text.slice(0, text.length >> 1) : text)
}

function createHandlers({
  organization,
  calls,
  paging,
}: RequestHandlerDeps): Readonly<Record<string, Handler>> {
  const page = ({ server, version, body }: CallContext, twist: ScriptedCall) => ({
    server,
    version,
    twist,
    cursor: body['cursor'],
    limit: body['limit'],
  })
  return {
    'GET /account': ({ server, version }) => ({ status: 200, json: account(organization, server, version) }),
    'POST /server/devices': (context, twist) => paging.fetch(page(context, twist)),
    'POST /devices/sync': (context, twist) => paging.sync(page(context, twist)),
    'POST /devices': calls.details,
    'POST /devices/disown': calls.disown,
    'POST /profile': calls.define,
    'GET /profile': calls.read,
    'POST /profile/devices': calls.assign,
    'PUT /profile/devices': calls.assign,
    'DELETE /profile/devices': calls.unassign,
  }
}

const SINCE_URLS = 3

function account({ name, id }: Organization, server: AppleServer, version: number): Record<string, unknown> {
  const limited = (uri: string) => ({
    uri,
    http_method: ['POST'],
    limit: { default: MAX_LIMIT / 10, maximum: MAX_LIMIT },
  })
  const details = {
    server_name: server.name,
    server_uuid: server.uuid,
    admin_id: server.appleId,
    facilitator_id: server.appleId,
    org_name: name,
    org_email: 'it@example.com',
    org_phone: '+41 31 555 01 00',
    org_address: 'Bundesplatz 1, 3003 Bern',
  }
  if (version < SINCE_URLS) return details
  return {
    ...details,
    org_type: 'org',
    org_version: 'v2',
    org_id: id,
    org_id_hash: id.padStart(64, '0'),
    urls: [
      ...PAGES.map(limited),
      { uri: '/account', http_method: ['GET'] },
      { uri: '/profile/devices', http_method: ['POST', 'PUT', 'DELETE'] },
    ],
  }
}

function checkHeaders(headers: IncomingHttpHeaders, call: AdeCall, { report }: AdeWatch): void {
  const what = `${call.method} ${call.path}`
  if (headers['user-agent'] === undefined) report('header_missing', `${what}: User-Agent`)
  if (!isJson(headers)) report('header_missing', `${what}: Content-Type application/json`)
  const version = textOf(headers, 'x-server-protocol-version')
  if (version !== String(NEWEST_VERSION)) {
    report('wrong_protocol_version', `${what}: X-Server-Protocol-Version is ${version ?? 'missing'}`)
  }
}

function isJson(headers: IncomingHttpHeaders): boolean {
  return /^application\/json\s*;\s*charset=utf-?8$/i.test(headers['content-type'] ?? '')
}

function textOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}
