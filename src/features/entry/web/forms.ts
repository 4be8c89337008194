import type { Signin } from '../../signin/index.ts'
import { passwordPage } from '../pages/password.ts'
import { signInPage } from '../pages/sign-in.ts'
import type { WebAnswer, WebRequest } from './answers.ts'
import type { Traveller } from './travel.ts'

/** The values of a form; anything else than text counts as missing. */
export type Form = Readonly<Record<string, string>>

const PATHS = { ade_web: '/enroll/sign-in', page: '/enroll' } as const
/** Providers that one page offers. */
const MAX_PROVIDERS = 20

/** The page with name and password, and the OpenID providers that may be asked instead. */
export async function signInForm(
  { sources }: Pick<Signin, 'sources'>,
  { look }: WebRequest,
  { session, journey }: Traveller,
  shown: { status?: number; userName?: string; problem?: string; retryAfterSeconds?: number } = {},
): Promise<WebAnswer> {
  const { status = 200, userName = '', problem = null, retryAfterSeconds } = shown
  const isPage = journey.way === 'page'
  const source = journey.source_id === null ? undefined : await sources.find(journey.source_id)
  const providers = isPage ? (await sources.list({ limit: MAX_PROVIDERS })).items : []
  const page = signInPage(look, {
    csrfToken: session.csrfToken,
    userName,
    problem,
    action: source?.kind === 'oidc' ? null : PATHS[journey.way],
    others: isPage
      ? providers.flatMap(({ kind, id, name }) =>
          kind === 'oidc' ? [{ name, href: `/enroll/oidc/start?source=${encodeURIComponent(id)}` }] : [],
        )
      : source?.kind === 'oidc'
        ? [{ name: source.name, href: PATHS.ade_web }]
        : [],
  })
  return { kind: 'page', status, page, ...(retryAfterSeconds && { retryAfterSeconds }) }
}

/** The page for a new password in place of one that was right. */
export function newPasswordForm(
  { look }: WebRequest,
  { session, journey: { change } }: Traveller,
  problem: string | null,
): WebAnswer {
  const page = passwordPage(look, {
    action: '/enroll/password',
    csrfToken: session.csrfToken,
    userName: change?.user_name ?? '',
    hasExpired: change?.has_expired ?? false,
    problem,
  })
  return { kind: 'page', status: problem === null ? 200 : 422, page }
}
