import type { KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { systemClock, type Clock } from '../../kernel/clock.ts'
import { generateRsaKey } from '../../protocol/x509/index.ts'
import { listen, stop, type Place } from '../serving.ts'
import { json } from './oidc-http.ts'
import { createSignIn, type OidcDesk, type OidcTrouble, type OidcUser } from './oidc-sign-in.ts'
import { createTokenEndpoint } from './oidc-token-endpoint.ts'
import { keySet } from './oidc-tokens.ts'

/** A small and strict OpenID provider for one client: authorization code with PKCE. */
export type FakeOidc = Awaited<ReturnType<typeof startFakeOidc>>

/** Options of the provider. `key`: RSA; made when left out. */
interface FakeOidcOptions extends Place {
  clientId: string
  clientSecret: string
  redirectUris?: readonly string[]
  users?: Readonly<Record<string, OidcUser>>
  key?: KeyObject
  clock?: Clock
}

/** Starts the provider over plain http, with its client and its users. */
export async function startFakeOidc(options: FakeOidcOptions) {
  const { clientId, clientSecret, clock = systemClock, key = await generateRsaKey() } = options
  const redirectUris = [...(options.redirectUris ?? [])]
  const calls: Record<string, number> = {}
  const desk: OidcDesk = {
    client: { clientId, clientSecret, redirectUris },
    users: new Map(Object.entries(options.users ?? {})),
    violations: [],
    troubles: [],
    codes: new Map(),
    issuer: () => issuer,
    now: () => clock.now().getTime(),
  }
  const { authorize, logIn } = createSignIn(desk)
  const { exchange, userInfo } = createTokenEndpoint(desk, key)

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url!, issuer)
    calls[pathname] = (calls[pathname] ?? 0) + 1
    const form = new URLSearchParams(await text(request))
    const route = `${request.method} ${pathname}`
    if (route === 'GET /.well-known/openid-configuration') json(response, 200, metadata(issuer))
    else if (route === 'GET /jwks') json(response, 200, keySet(key))
    else if (route === 'GET /authorize') authorize(searchParams, response)
    else if (route === 'POST /login') logIn(form, response)
    else if (route === 'POST /token') exchange(request, form, response)
    else if (route === 'GET /userinfo') userInfo(request, response)
    else json(response, 404, { error: 'not_found' })
  }

  const server = createServer((request, response) => void serve(request, response))
  const issuer = `http://${await listen(server, options)}`
  return {
    /** Also its address. */
    issuer,
    /** Where the client may have people sent back to. */
    redirectUris,
    /** By user name. */
    users: desk.users,
    /** What the client did against the rules, in words; empty for a good one. */
    violations: desk.violations as readonly string[],
    /** How often each path was called. */
    counts: () => ({ ...calls }),
    /** What happens to the next sign-ins, in this order. */
    script: (...more: OidcTrouble[]) => void desk.troubles.push(...more),
    close: () => stop(server),
  }
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
