import { AppError } from '../../kernel/errors.ts'
import { UpstreamError } from '../../kernel/upstream-error.ts'
import type { UpstreamAnswer } from '../../kernel/http-client.ts'
import { appleCodeOf } from './error-code.ts'

/** What an ADE call came to, by what has to be done about it. */
export type AdeErrorKind =
  /** Apple does not take the server token (any more): a new one is needed. */
  | 'token_rejected'
  /** The token is right and may not do this: the server was deleted in the portal, say. */
  | 'access_denied'
  /** The organisation must agree to new terms in the portal. */
  | 'terms_not_signed'
  | 'throttled'
  /** No answer, or one with a 5xx status. */
  | 'unavailable'
  | 'cursor_expired'
  | 'cursor_invalid'
  /** Everything was fetched with this cursor: go on with sync. */
  | 'cursor_exhausted'
  | 'cursor_required'
  | 'profile_unknown'
  /** Apple refuses what was asked; `appleCode` says why. */
  | 'invalid'
  /** The answer is not what Apple's documents promise. */
  | 'malformed_answer'

/** A call that did not succeed. `message` is for administrators. */
export class AdeError extends AppError {
  readonly kind: AdeErrorKind
  /** Apple's own word, `INVALID_CURSOR` for instance. */
  readonly appleCode: string | undefined
  /** HTTP status; undefined when no answer came. */
  readonly status: number | undefined
  /** How long Apple asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor(
    kind: AdeErrorKind,
    message: string,
    facts: { appleCode?: string; status?: number; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super('ade_failed', message, { cause: facts.cause })
    this.name = 'AdeError'
    this.kind = kind
    this.appleCode = facts.appleCode
    this.status = facts.status
    this.retryAfterMs = facts.retryAfterMs
  }
}

/** Whatever Apple asks for, after so long it is asked again. */
const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * 1000

const CURSOR_KINDS: Record<string, AdeErrorKind> = {
  EXPIRED_CURSOR: 'cursor_expired',
  INVALID_CURSOR: 'cursor_invalid',
  EXHAUSTED_CURSOR: 'cursor_exhausted',
  CURSOR_REQUIRED: 'cursor_required',
}

/** The error for an answer other than 2xx. `login`: it is that of GET /session; `profile`: the call names a profile. */
export function errorOf(
  answer: UpstreamAnswer,
  context: { call: string; login?: boolean; profile?: boolean; now: Date },
): AdeError {
  const appleCode = appleCodeOf(answer.body)
  const { status } = answer
  // A gateway on the way refuses with a page; Apple's service never does.
  const isPage = appleCode === undefined && answer.body.toString('latin1', 0, 64).trimStart().startsWith('<')
  const retryAfterMs = retryAfter(answer.headers['retry-after'], context.now)
  const kind = status === 403 && isPage ? 'unavailable' : kindOf(status, appleCode?.toUpperCase(), context)
  return new AdeError(kind, explain(kind, context.call, status, appleCode), {
    status,
    ...(appleCode !== undefined && { appleCode }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/** The error for an answer that did not come. */
export function errorOfFailure(error: unknown, call: string): unknown {
  if (!(error instanceof UpstreamError)) return error
  const kind = error.failure === 'too_large' ? 'malformed_answer' : 'unavailable'
  return new AdeError(kind, `${call}: ${error.message}.`, { cause: error })
}

function kindOf(
  status: number,
  code: string | undefined,
  { login = false, profile = false }: { login?: boolean; profile?: boolean },
): AdeErrorKind {
  if (status === 429) return 'throttled'
  if (status >= 500) return 'unavailable'
  if (status >= 400 && code === 'T_C_NOT_SIGNED') return 'terms_not_signed'
  if (status === 401) return 'token_rejected'
  if (status === 403) return 'access_denied'
  if (status < 400) return 'malformed_answer'
  if (!login && code !== undefined && Object.hasOwn(CURSOR_KINDS, code)) {
    return CURSOR_KINDS[code] ?? 'invalid'
  }
  const unknown = status === 404 || code === 'NOT_FOUND' || code === 'PROFILE_NOT_FOUND'
  return profile && unknown ? 'profile_unknown' : 'invalid'
}

const EXPLANATIONS: Partial<Record<AdeErrorKind, string>> = {
  token_rejected: 'Apple rejects the server token: make a new one in its portal and upload it',
  access_denied:
    "Apple denies access: the server may have been deleted in Apple's portal, or the token replaced",
  terms_not_signed: "Apple's new terms must be accepted: sign in to Apple's portal as its administrator",
  throttled: 'Apple asks to slow down',
  unavailable: 'Apple cannot answer at the moment',
  profile_unknown: 'Apple does not know this profile',
  cursor_expired: 'Apple says that the cursor is too old',
}

function explain(kind: AdeErrorKind, call: string, status: number, code: string | undefined): string {
  const text = EXPLANATIONS[kind] ?? 'Apple has refused it'
  return `${call}: ${text} (${status}${code === undefined ? '' : ` ${code}`}).`
}

const HTTP_DATE = /^[A-Z][a-z]{2,8}, \d{2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d{2}:\d{2}:\d{2} GMT$/

/** Seconds or a date (RFC 9110, section 10.2.3); another value says nothing. */
function retryAfter(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim().slice(0, 64) ?? ''
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : undefined
  const wait = seconds ?? (HTTP_DATE.test(text) ? Date.parse(text) - now.getTime() : NaN)
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER_MS)
}
