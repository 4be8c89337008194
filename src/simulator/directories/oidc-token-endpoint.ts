import type { KeyObject } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isClient, verifierFits } from './oidc-check.ts'
import { html, json } from './oidc-http.ts'
import { errorPage } from './oidc-pages.ts'
import { secret, type OidcDesk, type SignIn } from './oidc-sign-in.ts'
import { writeJwt, type Claims } from './oidc-tokens.ts'

const TOKEN_SECONDS = 300

/** The token endpoint, and the one that tells of the user whom an access token belongs to. */
export function createTokenEndpoint(
  { client, users, violations, codes, issuer, now }: OidcDesk,
  key: KeyObject,
) {
  const accessTokens = new Map<string, string>()

  function exchange(request: IncomingMessage, form: URLSearchParams, response: ServerResponse): void {
    const refuse = (status: number, error: string, detail: string) => {
      violations.push(`token: ${detail}`)
      json(response, status, { error, error_description: detail })
    }
    if (!isClient(request.headers.authorization, form, client))
      return refuse(401, 'invalid_client', 'wrong client secret')
    if (form.get('grant_type') !== 'authorization_code')
      return refuse(400, 'unsupported_grant_type', 'wrong grant_type')
    const signIn = codes.get(form.get('code') ?? '')
    if (signIn === undefined) return refuse(400, 'invalid_grant', 'the code is not known')
    if (signIn.used) return refuse(400, 'invalid_grant', 'the code was used before')
    signIn.used = true
    if (signIn.expiresAt < now()) return refuse(400, 'invalid_grant', 'the code has expired')
    const { redirectUri, codeChallenge } = signIn.request
    if (form.get('redirect_uri') !== redirectUri) return refuse(400, 'invalid_grant', 'another redirect_uri')
    if (!verifierFits(form.get('code_verifier') ?? '', codeChallenge)) {
      return refuse(400, 'invalid_grant', 'the code_verifier does not fit the code_challenge')
    }
    if (signIn.trouble === 'unavailable') return json(response, 503, { error: 'temporarily_unavailable' })
    if (signIn.trouble === 'html') return html(response, 200, errorPage('Maintenance'))
    giveTokens(signIn, response)
  }

  function giveTokens({ userName, request, trouble }: SignIn, response: ServerResponse): void {
    const seconds = Math.floor(now() / 1_000)
    const access = secret()
    accessTokens.set(access, userName!)
    const claims = {
      ...claimsOf(userName!),
      iss: trouble === 'wrong_issuer' ? `${issuer()}/other` : issuer(),
      aud: trouble === 'wrong_audience' ? 'another-client' : client.clientId,
      nonce: trouble === 'wrong_nonce' ? secret() : request.nonce,
      iat: trouble === 'expired' ? seconds - 7_200 : seconds,
      exp: trouble === 'expired' ? seconds - 3_600 : seconds + TOKEN_SECONDS,
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

  return { exchange, userInfo }
}

/** Another last byte in the payload, under the old signature. */
function spoil(token: string): string {
  const [header, payload = '', signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Claims
  const changed = Buffer.from(JSON.stringify({ ...claims, sub: 'somebody-else' })).toString('base64url')
  return [header, changed, signature].join('.')
}
