import type { ReasonCode } from '../../attempts/index.ts'
import { endPage } from '../pages/refused.ts'

/** What a browser is answered. */
export type WebAnswer = (
  | { kind: 'page'; status: number; page: string; retryAfterSeconds?: number }
  | { kind: 'redirect'; to: string }
  | { kind: 'profile'; profile: Buffer }
  | { kind: 'unknown_key' }
) & { setCookie?: string }

/** What a request of a browser brings, besides the values of a form. */
export interface WebRequest {
  cookie: string | undefined
  userAgent: string | undefined
  /** The header by which the web view of Setup Assistant introduces its device. */
  deviceInfo: string | undefined
  address: string
  requestId: string
}

const FORBIDDEN = 403
/** A form that cannot be taken as it was filled in. */
const UNPROCESSABLE = 422

/** What a person is told whose sign-in was refused; never which of name and password was wrong. */
const SIGN_IN_PROBLEMS: Partial<Record<ReasonCode, string>> = {
  sign_in_required: 'You were not signed in. Please try again.',
  invalid_credentials: 'The user name or the password is wrong.',
  user_unknown: 'The user name or the password is wrong.',
  user_disabled: 'This account may not be used here. Please ask your administrator.',
  password_expired: 'Your password has expired. Change it where you usually do, then sign in again.',
  password_change_required: 'Your password must be changed first. Change it where you usually do.',
  mfa_required:
    'Your organization asks for a second factor, which cannot be given here. Please ask your administrator.',
  directory_unavailable: 'Signing in is not possible at the moment. Please try again later.',
}

/** What to tell of a refused sign-in, and the status of the page. */
export function signInProblem(
  reason: ReasonCode,
  retryAfterSeconds = 0,
): { status: number; problem: string; retryAfterSeconds?: number } {
  if (reason === 'too_many_failures') {
    const minutes = Math.max(1, Math.ceil(retryAfterSeconds / 60))
    const problem = `Too many sign-ins have failed. Please wait ${minutes === 1 ? 'a minute' : `${minutes} minutes`} and try again.`
    return { status: 429, problem, retryAfterSeconds }
  }
  const problem = SIGN_IN_PROBLEMS[reason] ?? 'You were not signed in. Please ask your administrator.'
  return { status: reason === 'directory_unavailable' ? 503 : UNPROCESSABLE, problem }
}

/** The page of a refusal: the same for all reasons, but for what the person can do something about. */
export function refusedAnswer(
  request: Pick<WebRequest, 'requestId'>,
  reason: ReasonCode,
  told: { osVersion?: string | undefined; limit?: { count: number; limit: number } | undefined } = {},
): WebAnswer {
  const { osVersion, limit } = told
  const reference = request.requestId
  if (reason === 'os_update_required' && osVersion !== undefined) {
    const text = `This device needs version ${osVersion} of its operating system, or a later one. Update it, then start again.`
    return {
      kind: 'page',
      status: FORBIDDEN,
      page: endPage({ heading: 'Please update first', text, reference }),
    }
  }
  if (reason === 'device_limit_exceeded' && limit !== undefined) {
    const { count, limit: most } = limit
    const text = `You have ${count} of ${most} devices. Retire one that you do not need any more, then start again.`
    return {
      kind: 'page',
      status: FORBIDDEN,
      page: endPage({ heading: 'You have too many devices', text, reference }),
    }
  }
  const text = 'Your organization has not admitted this device. Please ask your administrator.'
  return {
    kind: 'page',
    status: FORBIDDEN,
    page: endPage({ heading: 'This device cannot be enrolled', text, reference }),
  }
}

/** For a browser that is in no sign-in, or whose form is not one of ours. */
export function startAgain(
  { requestId }: Pick<WebRequest, 'requestId'>,
  way?: 'ade_web' | 'page',
): WebAnswer {
  const where = 'Go back to the first step of the setup of this device, or open the enrollment page again.'
  const page = endPage({
    heading: 'Please start again',
    text: `This page has expired or was opened in another browser. ${where}`,
    reference: requestId,
    ...(way !== 'ade_web' && { again: { href: '/enroll', text: 'Open the enrollment page' } }),
  })
  return { kind: 'page', status: FORBIDDEN, page }
}
