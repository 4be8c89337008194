import { AppError } from './errors.ts'

/** What kept an answer of another server from coming. */
type UpstreamFailure =
  /** The address may not be called at all: no https, or no URL. */
  | 'not_allowed'
  | 'unknown_host'
  | 'connection'
  /** The certificate is not trusted or for another name, or no TLS was spoken. */
  | 'tls'
  | 'timeout'
  | 'too_large'
  | 'not_http'
  | 'aborted'

/**
 * No answer from another server: `upstream_refused` when it may not be asked, else `upstream_unavailable`. The message is
 * for administrators and names the host only.
 */
export class UpstreamError extends AppError {
  readonly failure: UpstreamFailure

  constructor(failure: UpstreamFailure, message: string, options: { cause?: unknown } = {}) {
    super(failure === 'not_allowed' ? 'upstream_refused' : 'upstream_unavailable', message, options)
    this.name = 'UpstreamError'
    this.failure = failure
  }
}

const TLS_CODES =
  /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO|INVALID_CA|ERR_OSSL)/
const HINTS: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed and not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from a CA that is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'the CA of its certificate is not trusted, or an intermediate certificate is missing',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from a CA that is not trusted',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not yet valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
}

/** What an error of Node's HTTP client means; one that is already an UpstreamError stays. */
export function fromNodeError(error: Error & { code?: string }, host: string): UpstreamError {
  if (error instanceof UpstreamError) return error
  const code = error.code ?? ''
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new UpstreamError('unknown_host', `the name of ${host} cannot be looked up`, { cause: error })
  }
  if (code.startsWith('HPE_')) {
    return new UpstreamError('not_http', `${host} has answered with something that is not HTTP`, {
      cause: error,
    })
  }
  const tls = TLS_CODES.test(code)
  const hint = HINTS[code] ?? (tls ? `TLS failed (${code})` : `the connection failed (${code || 'unknown'})`)
  return new UpstreamError(tls ? 'tls' : 'connection', `${host} cannot be reached: ${hint}`, { cause: error })
}
