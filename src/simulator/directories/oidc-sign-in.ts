import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { readAuthorization, type AuthorizationRequest, type OidcClient } from './oidc-check.ts'
import { html, redirect } from './oidc-http.ts'
import { errorPage, questionPage, type OidcQuestion } from './oidc-pages.ts'
import type { Claims } from './oidc-tokens.ts'

/** Someone who can sign in there. */
export interface OidcUser {
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

/** A sign-in under way, and afterwards its code. */
export interface SignIn {
  request: AuthorizationRequest
  trouble: OidcTrouble | undefined
  userName: string | undefined
  question: OidcQuestion
  expiresAt: number
  used: boolean
}

/** What the provider knows, for all its endpoints. */
export interface OidcDesk {
  readonly client: OidcClient
  readonly users: Map<string, OidcUser>
  readonly violations: string[]
  /** What happens to the next sign-ins. */
  readonly troubles: OidcTrouble[]
  /** Finished sign-ins by their code. */
  readonly codes: Map<string, SignIn>
  issuer(): string
  /** Milliseconds since 1970. */
  now(): number
}

const LIFETIME_MS = 5 * 60_000

/** A text that nobody guesses. */
export function secret(): string {
  return randomBytes(24).toString('base64url')
}

/** The authorization endpoint and its form: what ends with a code. */
export function createSignIn(desk: OidcDesk) {
  const { client, users, violations, troubles, codes, issuer, now } = desk
  const open = new Map<string, SignIn>()

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
    const expiresAt = now() + LIFETIME_MS
    open.set(id, { request, trouble, userName: undefined, question: 'password', expiresAt, used: false })
    html(response, 200, questionPage('password', id))
  }

  function logIn(form: URLSearchParams, response: ServerResponse): void {
    const id = form.get('transaction') ?? ''
    const signIn = open.get(id)
    if (signIn === undefined || signIn.expiresAt < now()) {
      return html(response, 400, errorPage('This sign-in is over.'))
    }
    const problem = answerQuestion(signIn, form)
    if (problem !== undefined) return html(response, 200, questionPage(signIn.question, id, problem))
    const next = nextQuestion(signIn)
    if (next !== undefined) {
      signIn.question = next
      return html(response, 200, questionPage(next, id))
    }
    open.delete(id)
    const code = secret()
    codes.set(code, { ...signIn, expiresAt: now() + LIFETIME_MS })
    const { redirectUri, state } = signIn.request
    const sent = signIn.trouble === 'wrong_state' ? secret() : state
    redirect(response, redirectUri, { code, state: sent, iss: issuer() })
  }

  function answerQuestion(signIn: SignIn, form: URLSearchParams): string | undefined {
    const user = users.get(signIn.userName ?? form.get('username') ?? '')
    if (signIn.question === 'password') {
      if (user === undefined || user.password !== form.get('password'))
        return 'The user name or password is wrong.'
      signIn.userName = form.get('username')!
    }
    if (signIn.question === 'code' && user?.oneTimeCode !== form.get('otp')) return 'The code is wrong.'
    if (signIn.question === 'new-password') {
      const password = form.get('new_password') ?? ''
      if (user === undefined || password === '' || password === user.password)
        return 'Choose another password.'
      users.set(signIn.userName!, { ...user, password, mustChangePassword: false })
    }
    return undefined
  }

  /** After the password the second factor, then a new password, as far as the user has to. */
  function nextQuestion({ question, userName }: SignIn): OidcQuestion | undefined {
    const user = users.get(userName ?? '')
    if (question === 'password' && user?.oneTimeCode !== undefined) return 'code'
    return question !== 'new-password' && user?.mustChangePassword === true ? 'new-password' : undefined
  }

  return { authorize, logIn }
}
