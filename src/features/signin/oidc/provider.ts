import * as client from 'openid-client'
import type { Clock } from '../../../kernel/clock.ts'
import { createHttpClient, type HttpClient } from '../../../kernel/http-client.ts'
import type { OidcSource } from '../sources/types.ts'

const TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1024 * 1024
/** What a provider says of itself is asked again after this. */
const VALID_MS = 10 * 60_000
const MAX_PROVIDERS = 100
/** Clocks are not all right. */
const CLOCK_TOLERANCE_SECONDS = 60

/** What is known of a provider, with our credentials there. */
type Provider = client.Configuration

type Known = { version: number; until: number; provider: Promise<Provider> }

/** The way to OpenID providers; each one's discovery document and keys are kept for ten minutes. */
export function createProviders(deps: {
  clock: Clock
  userAgent: string
  clientSecretOf: (source: OidcSource) => Promise<string>
}) {
  const { clock } = deps
  const providers = new Map<string, Known>()

  async function discover(source: OidcSource): Promise<Provider> {
    const http = createHttpClient({
      ...(source.ca_pem !== null && { caPem: source.ca_pem }),
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_ANSWER_BYTES,
      userAgent: deps.userAgent,
      clock,
    })
    const issuer = new URL(source.issuer)
    const execute = [client.enableNonRepudiationChecks]
    // The sources' rules let http through for loopback alone, and the HTTP client refuses every other one.
    if (issuer.protocol === 'http:') execute.push(client.allowInsecureRequests)
    const skew = Math.round((clock.now().getTime() - Date.now()) / 1000)
    return client.discovery(
      issuer,
      source.client_id,
      { [client.clockTolerance]: CLOCK_TOLERANCE_SECONDS, [client.clockSkew]: skew },
      authenticateWith(await deps.clientSecretOf(source)),
      { [client.customFetch]: fetchBy(http), execute, timeout: TIMEOUT_MS / 1000 },
    )
  }

  return {
    /** The provider of a source, asked at most once for all who wait for it. Rejects with what openid-client throws. */
    async get(source: OidcSource): Promise<Provider> {
      const now = clock.now().getTime()
      const known = providers.get(source.id)
      if (known?.version === source.version && known.until > now) return known.provider
      const provider = discover(source)
      const fresh = { version: source.version, until: now + VALID_MS, provider }
      providers.delete(source.id)
      providers.set(source.id, fresh)
      const [oldest] = providers.keys()
      if (providers.size > MAX_PROVIDERS && oldest !== undefined) providers.delete(oldest)
      try {
        return await provider
      } catch (error) {
        if (providers.get(source.id) === fresh) providers.delete(source.id)
        throw error
      }
    },
  }
}

/** The way the provider prefers; `client_secret_basic` is the default (OpenID Connect Discovery 1.0, section 3). */
function authenticateWith(secret: string): client.ClientAuth {
  const basic = client.ClientSecretBasic(secret)
  const post = client.ClientSecretPost(secret)
  return (server, ...rest) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    const authenticate = methods.includes('client_secret_basic') ? basic : post
    authenticate(server, ...rest)
  }
}

/** Requests with our limits and the source's CAs. */
function fetchBy(http: HttpClient): client.CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    const sent = body === null || body === undefined ? {} : { body: await bytesOf(body) }
    const answer = await http.request({
      method: method === 'POST' ? 'POST' : 'GET',
      url,
      headers,
      ...sent,
      ...(signal && { signal }),
    })
    const isEmpty = answer.status === 204 || answer.status === 304
    const texts = Object.entries(answer.headers).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    )
    return new Response(isEmpty ? null : new Uint8Array(answer.body), {
      status: answer.status,
      headers: texts,
    })
  }
}

async function bytesOf(body: NonNullable<client.FetchBody>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(body).arrayBuffer())
}
