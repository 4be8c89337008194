import { createPublicKey, sign, type KeyObject } from 'node:crypto'

/** What a JWT says. */
export type Claims = Readonly<Record<string, unknown>>

const KEY_ID = 'fake-oidc-1'

/** A JWT signed with RS256, or not at all. */
export function writeJwt(claims: Claims, key: KeyObject | 'none'): string {
  const header = key === 'none' ? { alg: 'none' } : { alg: 'RS256', typ: 'JWT', kid: KEY_ID }
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = key === 'none' ? '' : sign('sha256', Buffer.from(text), key).toString('base64url')
  return `${text}.${signature}`
}

/** The public half of a key as JWK set (RFC 7517). */
export function keySet(key: KeyObject): { keys: Claims[] } {
  const { kty, n, e } = createPublicKey(key).export({ format: 'jwk' })
  return { keys: [{ kty, n, e, kid: KEY_ID, use: 'sig', alg: 'RS256' }] }
}
