import type { ApnsOutcome } from './response.ts'

/** The way to Apple failed: nothing was answered. `reason` is a short name, of Node or OpenSSL or ours. */
export class TransportError extends Error {
  readonly reason: string

  constructor(reason: string, cause?: unknown) {
    super(`The connection to the push service failed: ${reason}`, cause === undefined ? {} : { cause })
    this.name = 'TransportError'
    this.reason = reason
  }
}

/** Alerts (RFC 8446, section 6.2) by which a server refuses the certificate that we showed it. */
const CERTIFICATE_ALERTS = [
  'CERTIFICATE_',
  'BAD_CERTIFICATE',
  'UNSUPPORTED_CERTIFICATE',
  'UNKNOWN_CA',
  'ACCESS_DENIED',
].map((alert) => `ALERT_${alert}`)
/** Begins the codes of what OpenSSL could not load: our certificate or key. */
const UNUSABLE_CERTIFICATE = 'ERR_OSSL_'

/** http2-wrapper's code for a connection that ended before the server's SETTINGS came. */
const NO_SETTINGS = 'HTTP2WRAPPER_NOSETTINGS'

/** Wraps whatever ended a connection or stream; an error of ours stays. */
export function transportErrorOf(error: unknown, fallback: string): TransportError {
  if (error instanceof TransportError) return error
  return new TransportError(codeOf(error) ?? fallback, error)
}

/** What a failed connection means: a certificate that is refused, or something that may pass. */
export function outcomeOfFailure(error: TransportError, afterMs: number): ApnsOutcome {
  const { reason } = error
  if (isAboutOurCertificate(reason)) {
    return { action: 'config_error', reason }
  }
  return { action: 'retry', reason, afterMs }
}

function isAboutOurCertificate(reason: string): boolean {
  if (reason.startsWith(UNUSABLE_CERTIFICATE)) return true
  return reason.startsWith('ERR_SSL_') && CERTIFICATE_ALERTS.some((alert) => reason.includes(alert))
}

function codeOf(error: unknown): string | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    const code: unknown = 'code' in current ? Reflect.get(current, 'code') : undefined
    if (code === NO_SETTINGS) return 'ClosedBeforeSettings'
    if (typeof code === 'string' && code !== '') return code
  }
  return undefined
}
