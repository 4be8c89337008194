import type { IncomingHttpHeaders } from 'node:http'

/** The token of `Authorization: Bearer <token>` (RFC 6750, section 2.1), if there is one. */
export function bearerToken(headers: IncomingHttpHeaders): string | undefined {
  return /^bearer +([\x21-\x7e]+) *$/i.exec(headers.authorization ?? '')?.[1]
}

/** User name and password of `Authorization: Basic ...` (RFC 7617), if there are any. */
export function basicCredentials(
  headers: IncomingHttpHeaders,
): { userName: string; password: string } | undefined {
  const encoded = /^basic +([a-z0-9+/=_-]+) *$/i.exec(headers.authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? undefined : { userName: decoded.slice(0, colon), password: decoded.slice(colon + 1) }
}
