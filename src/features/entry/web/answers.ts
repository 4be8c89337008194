import type { ReasonCode } from '../../attempts/index.ts'
import type { Look } from '../pages/language.ts'
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
  /** How pages look to this reader. */
  look: Look
}

const BAD_REQUEST = 400
const FORBIDDEN = 403
/** A form that cannot be taken as it was filled in. */
const UNPROCESSABLE = 422

/** What to tell of a refused sign-in, and the status of the page. */
export function signInProblem(
  { look: { words } }: Pick<WebRequest, 'look'>,
  reason: ReasonCode,
  retryAfterSeconds = 0,
): { status: number; problem: string; retryAfterSeconds?: number } {
  if (reason === 'too_many_failures') {
    const problem = words.wait(Math.max(1, Math.ceil(retryAfterSeconds / 60)))
    return { status: 429, problem, retryAfterSeconds }
  }
  const problem = words.problems[reason] ?? words.problems.other
  return { status: reason === 'directory_unavailable' ? 503 : UNPROCESSABLE, problem }
}

/** The page of a refusal: the same for all reasons, but for what the person can do something about. */
export function refusedAnswer(
  request: Pick<WebRequest, 'requestId' | 'look'>,
  reason: ReasonCode,
  told: { osVersion?: string | undefined; limit?: { count: number; limit: number } | undefined } = {},
): WebAnswer {
  const { words } = request.look
  const { osVersion, limit } = told
  if (reason === 'os_update_required' && osVersion !== undefined)
    return endAnswer(request, { heading: words.update.heading, text: words.update.text(osVersion) })
  if (reason === 'device_limit_exceeded' && limit !== undefined)
    return endAnswer(request, {
      heading: words.limit.heading,
      text: words.limit.text(limit.count, limit.limit),
    })
  return endAnswer(request, words.refused)
}

/** For a browser that is in no sign-in, or whose form is not one of ours. */
export function startAgain(
  request: Pick<WebRequest, 'requestId' | 'look'>,
  way?: 'ade_web' | 'page',
): WebAnswer {
  const { startAgain: said } = request.look.words
  return way === 'ade_web' ? endAnswer(request, said) : withPage(request, FORBIDDEN, said)
}

/** For a browser that has come to the address of Setup Assistant. */
export function notHere(request: Pick<WebRequest, 'requestId' | 'look'>): WebAnswer {
  return withPage(request, BAD_REQUEST, request.look.words.notHere)
}

interface Said {
  heading: string
  text: string
}

function endAnswer(
  { look, requestId: reference }: Pick<WebRequest, 'requestId' | 'look'>,
  said: Said,
): WebAnswer {
  return { kind: 'page', status: FORBIDDEN, page: endPage(look, { ...said, reference }) }
}

/** The same with the way to the enrollment page. */
function withPage(
  { look, requestId: reference }: Pick<WebRequest, 'requestId' | 'look'>,
  status: number,
  { heading, text }: Said,
): WebAnswer {
  const again = { href: '/enroll', text: look.words.openPage }
  return { kind: 'page', status, page: endPage(look, { heading, text, reference, again }) }
}
