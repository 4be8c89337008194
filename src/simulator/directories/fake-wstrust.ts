import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { systemClock, type Clock } from '../../kernel/clock.ts'
import { NS } from '../../protocol/wstrust/index.ts'
import { listen, stop, type Place } from '../serving.ts'
import { faultAnswer, mexAnswer, tokenAnswer, type FaultFields, type Subject } from './wstrust-answers.ts'
import { checkTokenRequest, RequestViolation, type TokenRequest } from './wstrust-check.ts'

/** An account of the directory; `state` says what happens to someone who knows its password (default: a token). */
export interface DirectoryUser extends Subject {
  readonly password: string
  readonly state?: 'ok' | 'locked' | 'disabled' | 'expired' | 'must_change' | 'mfa'
}

/** A strict fake of AD FS: WS-Trust 1.3 with user name and password, and its MEX document. */
export type FakeDirectory = Awaited<ReturnType<typeof startFakeDirectory>>

interface FakeDirectoryOptions extends Place {
  readonly users: readonly DirectoryUser[]
  readonly appliesTo?: string
  readonly saml?: '1.1' | '2.0'
  readonly clock?: Clock
}

const ENDPOINT = '/adfs/services/trust/13/usernamemixed'
const MEX = '/adfs/services/trust/mex'
const MAX_SKEW_MS = 5 * 60 * 1000
const MAX_BODY = 256 * 1024
const ID3242 = 'ID3242: The security token could not be authenticated or authorized.'

/**
 * The fault for an account whose password is right. Locked and disabled ones look like a wrong password; what AD FS has no
 * code for is told as Entra ID's token service does.
 */
const STATES: Record<NonNullable<DirectoryUser['state']>, FaultFields | undefined> = {
  ok: undefined,
  locked: { code: 'FailedAuthentication', reason: ID3242 },
  disabled: { code: 'FailedAuthentication', reason: ID3242 },
  expired: {
    code: 'FailedAuthentication.ExpiredPassword',
    reason: 'MSIS3125: The user password has expired.',
    namespace: NS.adfs,
  },
  must_change: {
    code: 'FailedAuthentication',
    reason: 'Authentication Failure',
    entra: 'AADSTS50142: Password change is required due to a conditional access policy.',
  },
  mfa: {
    code: 'FailedAuthentication',
    reason: 'Authentication Failure',
    entra: 'AADSTS50076: Due to a configuration change, multi-factor authentication must be used.',
  },
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** Starts the fake over plain http on loopback. */
export async function startFakeDirectory(options: FakeDirectoryOptions) {
  const violations: string[] = []
  let requests = 0
  let mode: 'up' | 'down' = 'up'
  let origin = ''
  const desk = createDesk(options, violations)

  async function answer(request: IncomingMessage): Promise<Answer> {
    if (mode === 'down') return { status: 503, body: '' }
    if (request.method === 'GET' && request.url === MEX)
      return { status: 200, body: mexAnswer(origin + ENDPOINT) }
    if (request.method !== 'POST' || request.url !== ENDPOINT) return { status: 404, body: '' }
    requests++
    return desk(request, origin + ENDPOINT)
  }

  const server = createServer((request, response) => {
    void answer(request).then(
      (made) => send(response, made),
      () => response.destroy(),
    )
  })
  origin = `http://${await listen(server, options)}`
  return {
    /** The UsernameMixed endpoint. */
    endpoint: origin + ENDPOINT,
    mex: origin + MEX,
    /** What clients did against the rules, in words; empty for a good client. */
    violations: violations as readonly string[],
    /** Requests for a token so far. */
    requests: () => requests,
    /** `down`: everything is answered with 503, as by AD FS when an endpoint is disabled. */
    setMode: (next: 'up' | 'down') => void (mode = next),
    close: () => stop(server),
  }
}

function createDesk(options: FakeDirectoryOptions, violations: string[]) {
  const { users, appliesTo = 'urn:federation:MicrosoftOnline', saml = '2.0', clock = systemClock } = options
  const messageIds = new Set<string>()

  function judge(request: TokenRequest): Answer {
    const { messageId, created, expires, userName, password } = request
    const now = clock.now()
    if (messageIds.has(messageId)) throw new RequestViolation('a MessageID that was used before')
    messageIds.add(messageId)
    if (now.getTime() < created.getTime() - MAX_SKEW_MS || now.getTime() > expires.getTime() + MAX_SKEW_MS) {
      return fault({ code: 'MessageExpired', reason: 'ID: the message has expired', namespace: NS.wsu })
    }
    if (request.appliesTo !== appliesTo) {
      const reason = 'ID3082: The request scope is not valid or is unsupported.'
      return fault({ code: 'InvalidScope', reason, namespace: NS.wst })
    }
    const user = users.find((each) => each.userName.toLowerCase() === userName.toLowerCase())
    if (user?.password !== password) return fault({ code: 'FailedAuthentication', reason: ID3242 })
    const problem = STATES[user.state ?? 'ok']
    if (problem !== undefined) return fault(problem)
    return { status: 200, body: tokenAnswer(user, { appliesTo, messageId, now, saml }) }
  }

  return async (message: IncomingMessage, endpoint: string): Promise<Answer> => {
    const { 'content-type': contentType, soapaction } = message.headers
    const soapAction = typeof soapaction === 'string' ? soapaction : undefined
    try {
      const body = await buffer(message)
      if (body.length > MAX_BODY) throw new RequestViolation(`more than ${MAX_BODY} bytes`)
      return judge(checkTokenRequest({ contentType, soapAction, body }, endpoint))
    } catch (error) {
      if (!(error instanceof RequestViolation)) throw error
      violations.push(error.message)
      return fault({ code: 'InvalidRequest', reason: `ID: ${error.message}`, namespace: NS.wst })
    }
  }
}

/** AD FS answers 500 whatever the fault. */
function fault(fields: FaultFields): Answer {
  return { status: 500, body: faultAnswer(fields) }
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/soap+xml; charset=utf-8' }).end(body)
}
