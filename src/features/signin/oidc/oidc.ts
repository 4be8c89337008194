import * as client from 'openid-client'
import type { createAdmission } from '../admission.ts'
import { type SignInRefusal, type SignInResult, refuse } from '../result.ts'
import type { PendingSignIn, WebSession } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { isAllowedAddress } from '../sources/rules.ts'
import type { Sources } from '../sources/sources.ts'
import type { OidcSource } from '../sources/types.ts'
import { type Claims, joinClaims, personIn } from './claims.ts'
import type { createProviders } from './provider.ts'
import { explainOidcError } from './refusals.ts'

const CALLBACK = '/enroll/oidc/callback'
/** What is told of the claims' names, in characters. */
const MAX_NAMES = 300

/** By whom and to where a browser is sent. */
interface Flow {
  providers: ReturnType<typeof createProviders>
  redirectUri: string
}

/** The sign-in at OpenID providers: authorization code with PKCE, state and nonce. */
export function createOidc(deps: {
  sources: Pick<Sources, 'find'>
  sessions: Pick<Sessions, 'setPending' | 'takePending'>
  providers: Flow['providers']
  admit: ReturnType<typeof createAdmission>['admit']
  publicUrl: string
}) {
  const { sources, sessions, admit } = deps
  const flow: Flow = { providers: deps.providers, redirectUri: `${deps.publicUrl}${CALLBACK}` }

  async function sourceOf(id: string): Promise<OidcSource | SignInRefusal> {
    const source = await sources.find(id)
    if (source?.kind === 'oidc') return source
    return refuse(
      'directory_unavailable',
      'the sign-in source does not exist any more, or is no OpenID provider',
    )
  }

  /** Sends the browser of this session to the provider. */
  async function start(options: {
    sourceId: string
    session: WebSession
  }): Promise<{ ok: true; url: string; setCookie?: string } | SignInRefusal> {
    const source = await sourceOf(options.sourceId)
    if ('reason' in source) return source
    const pending: PendingSignIn = {
      sourceId: source.id,
      state: client.randomState(),
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier(),
    }
    const url = await authorizationUrl(flow, source, pending)
    if (typeof url !== 'string') return url
    const remembered = await sessions.setPending(options.session, pending)
    if (remembered !== undefined) return { ok: true, url, ...remembered }
    return refuse('sign_in_required', 'the session of this browser has ended')
  }

  async function redeem(
    source: OidcSource,
    pending: PendingSignIn,
    { query, requestId }: { query: URLSearchParams; requestId: string },
  ): Promise<SignInResult> {
    let claims: Claims
    try {
      claims = await fetchClaims(flow, source, pending, query)
    } catch (error) {
      return explainOidcError(error)
    }
    const person = personIn(claims, source)
    if (person !== undefined) return admit(source, person, requestId)
    const wanted = source.user_name_claim ?? 'preferred_username or a verified email'
    const named = Object.keys(claims).filter((name) => claims[name] !== undefined)
    const there = named.join(', ').slice(0, MAX_NAMES)
    return refuse(
      'user_unknown',
      `"${source.name}" vouches for someone without saying who: ${wanted} is not among the claims (${there})`,
    )
  }

  /**
   * Judges what the provider has sent the browser of this session back with (`query` of the callback). What `start`
   * remembered counts once: a callback that comes again, to another browser or with another state is `sign_in_required`.
   */
  async function finish(options: {
    session: WebSession | undefined
    query: URLSearchParams
    requestId: string
  }): Promise<SignInResult> {
    const { session, query, requestId } = options
    const state = query.getAll('state').length === 1 ? query.get('state') : null
    const pending = session && state !== null ? await sessions.takePending(session, state) : undefined
    if (pending === undefined) {
      return refuse(
        'sign_in_required',
        'this browser is in no sign-in with that state: it came too late, twice, or from another browser',
      )
    }
    const source = await sourceOf(pending.sourceId)
    return 'reason' in source ? source : redeem(source, pending, { query, requestId })
  }

  return { start, finish }
}

async function authorizationUrl(
  { providers, redirectUri }: Flow,
  source: OidcSource,
  pending: PendingSignIn,
): Promise<string | SignInRefusal> {
  const challenge = await client.calculatePKCECodeChallenge(pending.codeVerifier)
  try {
    const { href } = client.buildAuthorizationUrl(await providers.get(source), {
      redirect_uri: redirectUri,
      scope: source.scopes.join(' '),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    })
    // What was read over https never leads to plain http, loopback included.
    if (isAllowedAddress(href) && (!isSecure(source.issuer) || isSecure(href))) return href
    return refuse('directory_unavailable', 'the provider names a sign-in page that is not https')
  } catch (error) {
    // Nobody has tried anything yet: whatever is wrong is wrong with the provider.
    return refuse('directory_unavailable', explainOidcError(error).detail)
  }
}

async function fetchClaims(
  { providers, redirectUri }: Flow,
  source: OidcSource,
  pending: PendingSignIn,
  query: URLSearchParams,
): Promise<Claims> {
  const provider = await providers.get(source)
  const url = new URL(redirectUri)
  url.search = query.toString()
  const tokens = await client.authorizationCodeGrant(provider, url, {
    expectedState: pending.state,
    expectedNonce: pending.nonce,
    pkceCodeVerifier: pending.codeVerifier,
    idTokenExpected: true,
  })
  const claims = { ...tokens.claims() }
  const isThere = personIn(claims, source) !== undefined
  if (isThere || provider.serverMetadata().userinfo_endpoint === undefined) return claims
  const more = await client.fetchUserInfo(provider, tokens.access_token, String(claims['sub']))
  return joinClaims(claims, more)
}

function isSecure(address: string): boolean {
  return new URL(address).protocol === 'https:'
}
