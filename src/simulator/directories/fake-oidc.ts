import { randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { generateRsaKey } from '../../protocol/x509/index.ts'
import { isClient, readAuthorization, verifierFits } from './oidc-check.ts'
import type { AuthorizationRequest, OidcClient } from './oidc-check.ts'
import { html, json, readText, redirect } from './oidc-http.ts'
import { errorPage, questionPage } from './oidc-pages.ts'
import type { OidcQuestion } from './oidc-pages.ts'
import { keySet, writeJwt } from './oidc-tokens.ts'
import type { Claims } from './oidc-tokens.ts'

/** Someone who can sign in there. */
interface OidcUser {
  password: string
  /** Claims besides `sub`, which is the user name; such as `preferred_username`, `email`, `name`. */
  claims?: Claims
  /** The code of the second factor, asked for after the password. */
  oneTimeCode?: string
  /** A new password is asked for after the old one. */
  mustChangePassword?: boolean
}

/** What the provider does wrong, or a sign-in that comes to nothing. */
export type OidcTrouble =
  | 'wrong_state'
  | 'wrong_nonce'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'wrong_signature'
  | 'unsigned'
  | 'expired'
  /** The person taps Cancel: `access_denied`. */
  | 'denied'
  /** The token endpoint answers 503. */
  | 'unavailable'
  /** The token endpoint answers 200 with HTML. */
  | 'html'

/** A small and strict OpenID provider for one client: authorization code with PKCE. */
export interface FakeOidc {
  /** Also its address; plain http on loopback. */
  readonly issuer: string
  /** By user name. */
  readonly users: Map<string, OidcUser>
  /** Where the client may have people sent back to. */
  readonly redirectUris: string[]
  /** What the client did against the rules, in words; empty for a good one. */
  readonly violations: readonly string[]
  /** How often each path was called. */
  counts(): Record<string, number>
  /** What happens to the next sign-ins, in this order. */
  script(...troubles: OidcTrouble[]): void
  close(): Promise<void>
}

/** Options of the provider; port 0 is any free one. `key`: RSA; made when left out. */
interface FakeOidcOptions {
  clientId: string
  clientSecret: string
  redirectUris?: readonly string[]
  users?: Readonly<Record<string, OidcUser>>
  key?: KeyObject
  clock?: Clock
  host?: string
  port?: number
}

/** A sign-in under way, and afterwards its code. */
interface Transaction {
  request: AuthorizationRequest
  trouble: OidcTrouble | undefined
  userName: string | undefined
  question: OidcQuestion
  expiresAt: number
  used: boolean
}

const LIFETIME_MS = 5 * 60_000
const TOKEN_SECONDS = 300

/** Starts the provider on loopback, with its client and its users; an RSA key is made for it unless given. */
export async function startFakeOidc(options: FakeOidcOptions): Promise<FakeOidc> {
  const { host = '127.0.0.1', port = 0, clock = systemClock, key = await generateRsaKey() } = options
  const { clientId, clientSecret, redirectUris = [], users = {} } = options
  const client: OidcClient & { redirectUris: string[] } = {
    clientId,
    clientSecret,
    redirectUris: [...redirectUris],
  }
  const desk = createOidcDesk({
    client,
    users: new Map(Object.entries(users)),
    key,
    clock,
    issuer: () => issuer,
  })
  const server = createServer((request, response) => void desk.serve(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const issuer = `http://${host}:${(server.address() as AddressInfo).port}`
  return {
    issuer,
    redirectUris: client.redirectUris,
    ...desk.controls,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function createOidcDesk(deps: {
  client: OidcClient
  users: Map<string, OidcUser>
  key: KeyObject
  clock: Clock
  issuer: () => string
}) {
  const { client, users, key, clock, issuer } = deps
  const violations: string[] = []
  const calls: Record<string, number> = {}
  const troubles: OidcTrouble[] = []
  const open = new Map<string, Transaction>()
  const codes = new Map<string, Transaction>()
  const accessTokens = new Map<string, string>()
  const time = () => clock.now().getTime()
  const secret = () => randomBytes(24).toString('base64url')

  function authorize(query: URLSearchParams, response: ServerResponse): void {
    const request = readAuthorization(query, client)
    if ('error' in request) {
      violations.push(`authorize: ${request.description}`)
      const { error, redirectable } = request
      if (!redirectable) return html(response, 400, errorPage(request.description))
      return redirect(response, query.get('redirect_uri')!, {
        error,
        state: query.get('state') ?? '',
        iss: issuer(),
      })
    }
    const trouble = troubles.shift()
    const { redirectUri, state } = request
    if (trouble === 'denied')
      return redirect(response, redirectUri, { error: 'access_denied', state, iss: issuer() })
    const id = secret()
    const expiresAt = time() + LIFETIME_MS
    open.set(id, { request, trouble, userName: undefined, question: 'password', expiresAt, used: false })
    html(response, 200, questionPage('password', id))
  }

  function logIn(form: URLSearchParams, response: ServerResponse): void {
    const id = form.get('transaction') ?? ''
    const transaction = open.get(id)
    if (transaction === undefined || transaction.expiresAt < time()) {
      return html(response, 400, errorPage('This sign-in is over.'))
    }
    const problem = answerQuestion(transaction, form)
    if (problem !== undefined) return html(response, 200, questionPage(transaction.question, id, problem))
    const next = nextQuestion(transaction)
    if (next !== undefined) {
      transaction.question = next
      return html(response, 200, questionPage(next, id))
    }
    open.delete(id)
    const code = secret()
    codes.set(code, { ...transaction, expiresAt: time() + LIFETIME_MS })
    const { redirectUri, state } = transaction.request
    const sent = transaction.trouble === 'wrong_state' ? secret() : state
    redirect(response, redirectUri, { code, state: sent, iss: issuer() })
  }

  function answerQuestion(transaction: Transaction, form: URLSearchParams): string | undefined {
    const user = users.get(transaction.userName ?? form.get('username') ?? '')
    if (transaction.question === 'password') {
      if (user === undefined || user.password !== form.get('password'))
        return 'The user name or password is wrong.'
      transaction.userName = form.get('username')!
    }
    if (transaction.question === 'code' && user?.oneTimeCode !== form.get('otp')) return 'The code is wrong.'
    if (transaction.question === 'new-password') {
      const password = form.get('new_password') ?? ''
      if (user === undefined || password === '' || password === user.password)
        return 'Choose another password.'
      users.set(transaction.userName!, { ...user, password, mustChangePassword: false })
    }
    return undefined
  }

  /** After the password the second factor, then a new password, as far as the user has to. */
  function nextQuestion({ question, userName }: Transaction): OidcQuestion | undefined {
    const user = users.get(userName ?? '')
    if (question === 'password' && user?.oneTimeCode !== undefined) return 'code'
    return question !== 'new-password' && user?.mustChangePassword === true ? 'new-password' : undefined
  }

  function exchange(request: IncomingMessage, form: URLSearchParams, response: ServerResponse): void {
    const refuse = (status: number, error: string, detail: string) => {
      violations.push(`token: ${detail}`)
      json(response, status, { error, error_description: detail })
    }
    if (!isClient(request.headers.authorization, form, client))
      return refuse(401, 'invalid_client', 'wrong client secret')
    if (form.get('grant_type') !== 'authorization_code')
      return refuse(400, 'unsupported_grant_type', 'wrong grant_type')
    const transaction = codes.get(form.get('code') ?? '')
    if (transaction === undefined) return refuse(400, 'invalid_grant', 'the code is not known')
    if (transaction.used) return refuse(400, 'invalid_grant', 'the code was used before')
    transaction.used = true
    if (transaction.expiresAt < time()) return refuse(400, 'invalid_grant', 'the code has expired')
    const { redirectUri, codeChallenge } = transaction.request
    if (form.get('redirect_uri') !== redirectUri) return refuse(400, 'invalid_grant', 'another redirect_uri')
    if (!verifierFits(form.get('code_verifier') ?? '', codeChallenge)) {
      return refuse(400, 'invalid_grant', 'the code_verifier does not fit the code_challenge')
    }
    if (transaction.trouble === 'unavailable')
      return json(response, 503, { error: 'temporarily_unavailable' })
    if (transaction.trouble === 'html') return html(response, 200, errorPage('Maintenance'))
    giveTokens(transaction, response)
  }

  function giveTokens({ userName, request, trouble }: Transaction, response: ServerResponse): void {
    const now = Math.floor(time() / 1_000)
    const access = secret()
    accessTokens.set(access, userName!)
    const claims = {
      ...claimsOf(userName!),
      iss: trouble === 'wrong_issuer' ? `${issuer()}/other` : issuer(),
      aud: trouble === 'wrong_audience' ? 'another-client' : client.clientId,
      nonce: trouble === 'wrong_nonce' ? secret() : request.nonce,
      iat: trouble === 'expired' ? now - 7_200 : now,
      exp: trouble === 'expired' ? now - 3_600 : now + TOKEN_SECONDS,
    }
    const token = writeJwt(claims, trouble === 'unsigned' ? 'none' : key)
    const idToken = trouble === 'wrong_signature' ? spoil(token) : token
    json(response, 200, {
      access_token: access,
      token_type: 'Bearer',
      expires_in: TOKEN_SECONDS,
      id_token: idToken,
      scope: request.scopes.join(' '),
    })
  }

  function claimsOf(userName: string): Claims {
    return { preferred_username: userName, ...users.get(userName)?.claims, sub: userName }
  }

  function userInfo(request: IncomingMessage, response: ServerResponse): void {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const userName = accessTokens.get(token ?? '')
    if (userName === undefined) json(response, 401, { error: 'invalid_token' })
    else json(response, 200, claimsOf(userName))
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, issuer())
    calls[pathname] = (calls[pathname] ?? 0) + 1
    const form = new URLSearchParams(await readText(request))
    const route = `${request.method} ${pathname}`
    if (route === 'GET /.well-known/openid-configuration') json(response, 200, metadata(issuer()))
    else if (route === 'GET /jwks') json(response, 200, keySet(key))
    else if (route === 'GET /authorize') authorize(searchParams, response)
    else if (route === 'POST /login') logIn(form, response)
    else if (route === 'POST /token') exchange(request, form, response)
    else if (route === 'GET /userinfo') userInfo(request, response)
    else json(response, 404, { error: 'not_found' })
  }

  const controls = {
    users,
    violations,
    counts: () => ({ ...calls }),
    script: (...more: OidcTrouble[]) => void troubles.push(...more),
  }
  return { serve, controls }
}

/** OpenID Connect Discovery 1.0, section 3. */
function metadata(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    grant_types_supported: ['authorization_code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: ['openid', 'profile', 'email'],
    authorization_response_iss_parameter_supported: true,
  }
}

/** Another last byte in the payload, under the old signature. */
function spoil(token: string): string {
  const [header, payload = '', signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Claims
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'somebody-else' })).toString('base64url')
  return [header, changed, signature].join('.')
}
