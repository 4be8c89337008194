import { createHmac, timingSafeEqual } from 'node:crypto'
import { words } from '../../kernel/words.ts'

/** What an OAuth 1.0a request is signed with. */
export interface OAuthCredentials {
  readonly consumerKey: string
  readonly consumerSecret: string
  readonly accessToken: string
  readonly accessSecret: string
}

/** The `Authorization` header of a request without body (RFC 5849, sections 3.4 and 3.5.1). `timestamp`: Unix seconds. */
export function signOAuth(options: {
  method: string
  url: string
  credentials: OAuthCredentials
  nonce: string
  timestamp: number
}): string {
  const { method, url, credentials, nonce, timestamp } = options
  const parameters: Pair[] = [
    ['oauth_consumer_key', credentials.consumerKey],
    ['oauth_token', credentials.accessToken],
    ['oauth_signature_method', 'HMAC-SHA1'],
    ['oauth_timestamp', String(timestamp)],
    ['oauth_nonce', nonce],
    ['oauth_version', '1.0'],
  ]
  const signature = signatureOf(method, url, parameters, credentials)
  const written = [...parameters, ['oauth_signature', signature] as Pair].map(
    ([name, value]) => `${name}="${encode(value)}"`,
  )
  return `OAuth realm="ADM", ${written.join(', ')}`
}

/** Why a signed request is refused; `status` is 400 for one that breaks the rules and 401 for one that is not believed. */
interface OAuthProblem {
  readonly ok: false
  readonly status: 400 | 401
  readonly problem: string
}

/** What a verifier must know. */
interface OAuthVerifier {
  /** The secrets of a consumer key; undefined when it is not known. */
  find(consumerKey: string): OAuthCredentials | undefined
  /** Remembers a nonce; false when it was used before. Called only for requests whose signature is right. */
  takeNonce(nonce: string, timestamp: number): boolean
  readonly now: Date
  readonly toleranceSeconds: number
}

/** Verifies what {@link signOAuth} makes, for a server that plays Apple. */
export function verifyOAuth(
  request: { method: string; url: string; authorization: string | undefined },
  verifier: OAuthVerifier,
): { readonly ok: true; readonly credentials: OAuthCredentials } | OAuthProblem {
  const parameters = readHeader(request.authorization)
  if (typeof parameters === 'string') return { ok: false, status: 400, problem: parameters }
  const get = (name: string) => parameters.get(name) ?? ''
  const malformed = checkParameters(parameters)
  if (malformed !== undefined) return { ok: false, status: 400, problem: malformed }
  const credentials = verifier.find(get('oauth_consumer_key'))
  if (credentials === undefined) return { ok: false, status: 401, problem: 'consumer_key_unknown' }
  if (credentials.accessToken !== get('oauth_token')) return refused('token_rejected')
  const signed = [...parameters].filter(([name]) => name !== 'oauth_signature' && name !== 'realm')
  const expected = signatureOf(request.method, request.url, signed, credentials)
  if (!same(expected, get('oauth_signature'))) return refused('signature_invalid')
  const timestamp = Number(get('oauth_timestamp'))
  if (Math.abs(verifier.now.getTime() / 1000 - timestamp) > verifier.toleranceSeconds) {
    return refused('timestamp_refused')
  }
  if (!verifier.takeNonce(get('oauth_nonce'), timestamp)) return refused('nonce_used')
  return { ok: true, credentials }
}

type Pair = readonly [name: string, value: string]

const REQUIRED = words(`
  oauth_consumer_key oauth_token oauth_signature_method oauth_signature oauth_timestamp oauth_nonce
`)

function refused(problem: string): OAuthProblem {
  return { ok: false, status: 401, problem }
}

function checkParameters(parameters: ReadonlyMap<string, string>): string | undefined {
  const missing = REQUIRED.find((name) => !parameters.get(name))
  if (missing !== undefined) return `parameter_absent: ${missing}`
  if (parameters.get('oauth_signature_method') !== 'HMAC-SHA1') return 'signature_method_rejected'
  if ((parameters.get('oauth_version') ?? '1.0') !== '1.0') return 'version_rejected'
  if (!/^\d{1,12}$/.test(parameters.get('oauth_timestamp') ?? ''))
    return 'parameter_rejected: oauth_timestamp'
  return undefined
}

/** The parameters of the header, or what is wrong with it. */
function readHeader(header: string | undefined): Map<string, string> | string {
  const list = /^OAuth\s+(.*)$/is.exec(header ?? '')?.[1]
  if (list === undefined) return 'no OAuth authorization'
  const parameters = new Map<string, string>()
  for (const item of list.split(',')) {
    const [, name, value = ''] = /^\s*([A-Za-z0-9_]+)="([^"]*)"\s*$/.exec(item) ?? []
    if (name === undefined) return 'parameter_rejected: not name="value"'
    if (parameters.has(name)) return `parameter_rejected: ${name} twice`
    const decoded = decode(value)
    if (decoded === undefined) return `parameter_rejected: ${name}`
    parameters.set(name, decoded)
  }
  return parameters
}

/** RFC 5849, section 3.4: the parameters of the query are signed with those of the header. */
function signatureOf(
  method: string,
  url: string,
  parameters: readonly Pair[],
  { consumerSecret, accessSecret }: OAuthCredentials,
): string {
  const { origin, pathname, searchParams } = new URL(url)
  const pairs = [...parameters, ...searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`)
  const sorted = pairs.toSorted((a, b) => (a < b ? -1 : Number(a > b)))
  const base = [method.toUpperCase(), origin + pathname, sorted.join('&')].map(encode).join('&')
  return createHmac('sha1', `${encode(consumerSecret)}&${encode(accessSecret)}`)
    .update(base)
    .digest('base64')
}

/** RFC 5849, section 3.6: everything but letters, digits, `-`, `.`, `_` and `~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function same(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}
