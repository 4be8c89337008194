import { AuthorizationResponseError, ResponseBodyError } from 'openid-client'
import { AppError } from '../../../kernel/errors.ts'
import { UpstreamError } from '../../../kernel/upstream-error.ts'
import { wordSet } from '../../../kernel/words.ts'
import { type SignInRefusal, refuse } from '../result.ts'

const MAX_TEXT = 200
const MAX_CAUSES = 5

/** The provider's own troubles (RFC 6749, section 4.1.2.1), and what says that we are set up wrongly there. */
const ABOUT_THE_PROVIDER = wordSet(`
  server_error temporarily_unavailable invalid_request invalid_client unauthorized_client
  unsupported_response_type invalid_scope unsupported_grant_type
`)

/** What openid-client finds wrong with an answer, by its code. */
const CODES: Record<string, [SignInRefusal['reason'], string]> = {
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: [
    'invalid_credentials',
    'the id_token is not for this sign-in: its issuer, audience or nonce is another one',
  ],
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: [
    'invalid_credentials',
    'the id_token is too old or not yet valid: compare the clocks of this server and the provider',
  ],
  OAUTH_INVALID_RESPONSE: [
    'invalid_credentials',
    'the answer of the provider, or the signature of its id_token, is not what it must be',
  ],
  OAUTH_KEY_SELECTION_FAILED: [
    'invalid_credentials',
    'the id_token is signed with a key that the provider does not name',
  ],
  OAUTH_UNSUPPORTED_OPERATION: [
    'directory_unavailable',
    'the provider uses something that is not supported here',
  ],
  OAUTH_PARSE_ERROR: ['directory_unavailable', 'the answer of the provider is no JSON'],
  OAUTH_RESPONSE_IS_NOT_JSON: ['directory_unavailable', 'the answer of the provider is no JSON'],
  OAUTH_RESPONSE_IS_NOT_CONFORM: ['directory_unavailable', 'the provider answers with an unexpected status'],
  OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED: [
    'directory_unavailable',
    'the discovery document is of another issuer: compare issuer with it, to the last slash',
  ],
  OAUTH_TIMEOUT: ['directory_unavailable', 'the provider has not answered in time'],
  OAUTH_REQUEST_PROTOCOL_FORBIDDEN: [
    'directory_unavailable',
    'the provider names an address that is not https',
  ],
  OAUTH_HTTP_REQUEST_FORBIDDEN: ['directory_unavailable', 'the provider names an address that is not https'],
  OAUTH_INVALID_SERVER_METADATA: [
    'directory_unavailable',
    'the discovery document holds an address that is none',
  ],
  OAUTH_MISSING_SERVER_METADATA: [
    'directory_unavailable',
    'the discovery document lacks an address that is needed',
  ],
}

/**
 * What an error of openid-client means. It throws errors of several kinds, and other ones for documents that nobody should
 * write: all of them speak against the provider. Only errors of our own are thrown again.
 */
export function explainOidcError(error: unknown): SignInRefusal {
  const upstream = causesOf(error).find((cause) => cause instanceof UpstreamError)
  if (upstream !== undefined) return refuse('directory_unavailable', upstream.message)
  if (error instanceof AuthorizationResponseError) {
    return told(error.error, error.error_description, 'the provider sends the person back with')
  }
  if (error instanceof ResponseBodyError) {
    return told(error.error, error.error_description, 'the provider does not redeem the code:')
  }
  if (error instanceof AppError) throw error
  const code = codeOf(error)
  const [reason, detail] = (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? [
    'directory_unavailable',
    `the provider cannot be used (${code})`,
  ]
  return refuse(reason, detail)
}

function told(code: string, description: string | undefined, what: string): SignInRefusal {
  const text = description === undefined ? '' : `: "${tidy(description)}"`
  return refuse(
    ABOUT_THE_PROVIDER.has(code) ? 'directory_unavailable' : 'sign_in_required',
    `${what} ${tidy(code)}${text}`,
  )
}

function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? tidy(code) : 'unknown'
}

function tidy(text: string): string {
  return text
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_TEXT)
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  let at = error
  while (at instanceof Error && causes.length < MAX_CAUSES) {
    causes.push(at)
    at = at.cause
  }
  return causes
}
