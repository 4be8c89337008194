import { createHash } from 'node:crypto'

/** A client as it is registered. */
export interface OidcClient {
  clientId: string
  clientSecret: string
  redirectUris: readonly string[]
}

/** An authorization request that was found right. */
export interface AuthorizationRequest {
  redirectUri: string
  state: string
  nonce: string
  codeChallenge: string
  scopes: readonly string[]
}

/** Why a request is refused; `redirectable`: the client may be told. */
interface OidcProblem {
  error: string
  description: string
  redirectable: boolean
}

const MIN_ENTROPY = 16

/** Reads an authorization request as strictly as the security BCP (RFC 9700) asks: code, state, nonce and PKCE with S256. */
export function readAuthorization(
  query: URLSearchParams,
  client: OidcClient,
): AuthorizationRequest | OidcProblem {
  const get = (name: string) => query.get(name) ?? ''
  const wrong = (error: string, description: string, redirectable = true) => ({
    error,
    description,
    redirectable,
  })
  const twice = [...query.keys()].find((name) => query.getAll(name).length > 1)
  if (get('client_id') !== client.clientId)
    return wrong('unauthorized_client', 'client_id is not known', false)
  if (!client.redirectUris.includes(get('redirect_uri'))) {
    return wrong('invalid_request', 'redirect_uri is not one of those registered', false)
  }
  if (twice !== undefined) return wrong('invalid_request', `${twice} is there twice`)
  if (get('response_type') !== 'code') return wrong('unsupported_response_type', 'response_type is not code')
  const scopes = get('scope').split(' ')
  if (!scopes.includes('openid')) return wrong('invalid_scope', 'scope does not hold openid')
  for (const name of ['state', 'nonce']) {
    if (get(name).length < MIN_ENTROPY) return wrong('invalid_request', `${name} is missing or too short`)
  }
  if (get('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(get('code_challenge'))) {
    return wrong('invalid_request', 'no PKCE with S256')
  }
  const { state, nonce } = { state: get('state'), nonce: get('nonce') }
  return { redirectUri: get('redirect_uri'), state, nonce, codeChallenge: get('code_challenge'), scopes }
}

/** Whether a token request comes from the client: client_secret_basic or client_secret_post (RFC 6749, section 2.3.1). */
export function isClient(
  authorization: string | undefined,
  form: URLSearchParams,
  { clientId, clientSecret }: OidcClient,
): boolean {
  const basic = /^Basic (.+)$/i.exec(authorization ?? '')?.[1]
  if (basic === undefined)
    return form.get('client_id') === clientId && form.get('client_secret') === clientSecret
  const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString('utf8').split(':', 2)
  const decode = (text: string) => new URLSearchParams(`x=${text}`).get('x')
  return decode(id) === clientId && decode(secret) === clientSecret && !form.has('client_secret')
}

/** Whether the verifier belongs to the challenge (RFC 7636, section 4.6). */
export function verifierFits(verifier: string, challenge: string): boolean {
  const isWellFormed = /^[\w.~-]{43,128}$/.test(verifier)
  return isWellFormed && createHash('sha256').update(verifier).digest('base64url') === challenge
}
