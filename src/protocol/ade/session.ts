import { randomBytes } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import type { HttpClient, UpstreamAnswer, UpstreamRequest } from '../../kernel/http-client.ts'
import { withoutFinalSlashes } from '../../kernel/urls.ts'
import { parseRecord } from '../../kernel/records.ts'
import { appleCodeOf } from './error-code.ts'
import { AdeError, errorOf, errorOfFailure } from './error.ts'
import { signOAuth, type OAuthCredentials } from './oauth.ts'

const PROTOCOL_VERSION = '10'
const CONTENT_TYPE = 'application/json;charset=UTF8'
const SESSION_HEADER = 'x-adm-auth-session'
const MAX_SESSION = 8192

/** What a session needs. `onSession` is called after each login. */
export interface SessionOptions {
  readonly baseUrl: string
  readonly token: OAuthCredentials
  readonly http: HttpClient
  readonly clock: Clock
  readonly userAgent: string
  readonly onSession?: (() => void) | undefined
}

/** One request within the session, as `path` below the base URL. */
export type SessionRequest = Pick<UpstreamRequest, 'method' | 'signal'> & {
  readonly path: string
  readonly body?: unknown
}

/** Sends requests with a session that is opened when needed and shared by all calls. */
interface AdeSession {
  /** The answer, whatever its status. Rejects with AdeError when there is none, or no session is given. */
  send(request: SessionRequest): Promise<UpstreamAnswer>
}

interface Session {
  token: string
}

/** Makes a session that keeps to Apple's rules: each answer may bring a new token; one that ended is opened anew, once. */
export function createSession(options: SessionOptions): AdeSession {
  const base = withoutFinalSlashes(options.baseUrl)
  let current: Promise<Session> | undefined

  async function exchange(request: UpstreamRequest, call: string): Promise<UpstreamAnswer> {
    const headers = {
      ...request.headers,
      'x-server-protocol-version': PROTOCOL_VERSION,
      'content-type': CONTENT_TYPE,
      accept: CONTENT_TYPE,
      'user-agent': options.userAgent,
    }
    try {
      return await options.http.request({ ...request, headers })
    } catch (error) {
      throw errorOfFailure(error, call)
    }
  }

  async function logIn(): Promise<Session> {
    const url = `${base}/session`
    const now = options.clock.now()
    const authorization = signOAuth({
      method: 'GET',
      url,
      credentials: options.token,
      nonce: randomBytes(16).toString('hex'),
      timestamp: Math.floor(now.getTime() / 1000),
    })
    const answer = await exchange({ method: 'GET', url, headers: { authorization } }, 'GET /session')
    if (answer.status !== 200) throw errorOf(answer, { call: 'GET /session', login: true, now })
    const session = { token: sessionToken(answer) }
    options.onSession?.()
    return session
  }

  /** The session that all share; a login that failed is forgotten, so that the next call tries again. */
  function open(): Promise<Session> {
    if (current !== undefined) return current
    const opening = logIn()
    current = opening
    opening.catch(() => forget(opening))
    return opening
  }

  function forget(ended: Promise<Session>): void {
    if (current === ended) current = undefined
  }

  async function attempt({ method, path, body, signal }: SessionRequest, shared: Promise<Session>) {
    const session = await shared
    const answer = await exchange(
      {
        method,
        url: base + path,
        headers: { [SESSION_HEADER]: session.token },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      },
      `${method} ${path.replace(/\?.*/, '')}`,
    )
    const renewed = answer.headers[SESSION_HEADER]
    if (typeof renewed === 'string' && renewed !== '' && renewed.length <= MAX_SESSION)
      session.token = renewed
    return answer
  }

  return {
    async send(request) {
      const shared = open()
      const answer = await attempt(request, shared)
      if (!isSessionOver(answer)) return answer
      // Another call may have opened a new session in the meantime, which then serves this one too.
      forget(shared)
      return attempt(request, open())
    },
  }
}

function isSessionOver({ status, body }: UpstreamAnswer): boolean {
  return status === 401 || (status === 403 && appleCodeOf(body) === 'FORBIDDEN')
}

function sessionToken(answer: UpstreamAnswer): string {
  const token = parseRecord(answer.body.toString('utf8'))?.['auth_session_token']
  if (typeof token === 'string' && token.length <= MAX_SESSION && /^[!-~]+$/.test(token)) return token
  throw new AdeError('malformed_answer', 'GET /session: the answer holds no session token.', {
    status: answer.status,
  })
}
