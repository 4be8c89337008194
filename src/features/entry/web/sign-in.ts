import { newId } from '../../../kernel/ids.ts'
import type { ReasonCode } from '../../attempts/index.ts'
import type { SignInRefusal } from '../../signin/index.ts'
import type { User } from '../../users/index.ts'
import { passwordPage } from '../pages/password.ts'
import { signInPage } from '../pages/sign-in.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { judgeSignedIn, tellableName } from '../power-on/person.ts'
import { refusedAnswer, signInProblem, startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import type { Journey } from './journey.ts'
import type { Travel, Traveller } from './travel.ts'

/** The values of a form; anything else than text counts as missing. */
export type Form = Readonly<Record<string, string>>

const PATHS = { ade_web: '/enroll/sign-in', page: '/enroll' } as const
const ENDS = { ade_web: '/enroll/profile', page: '/enroll/ready' } as const
/** Providers that one page offers. */
const MAX_PROVIDERS = 20

/** Makes the steps by which a person signs in on pages: name and password, a new password, an OpenID provider. */
export function createSignInSteps(deps: EntryDeps, travel: Travel) {
  const { signin, settings } = deps

  async function form(
    { look }: WebRequest,
    { session, journey }: Traveller,
    shown: { status?: number; userName?: string; problem?: string; retryAfterSeconds?: number } = {},
  ): Promise<WebAnswer> {
    const { status = 200, userName = '', problem = null, retryAfterSeconds } = shown
    const isPage = journey.way === 'page'
    const source = journey.source_id === null ? undefined : await signin.sources.find(journey.source_id)
    const providers = isPage ? (await signin.sources.list({ limit: MAX_PROVIDERS })).items : []
    const page = signInPage(look, {
      ...{ csrfToken: session.csrfToken, userName, problem },
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

  function newPassword(
    { look }: WebRequest,
    { session, journey }: Traveller,
    problem: string | null,
  ): WebAnswer {
    const { change } = journey
    const page = passwordPage(look, {
      action: '/enroll/password',
      csrfToken: session.csrfToken,
      userName: change?.user_name ?? '',
      hasExpired: change?.has_expired ?? false,
      problem,
    })
    return { kind: 'page', status: problem === null ? 200 : 422, page }
  }

  /** Lets someone who has proved who they are have the device, or says why not. */
  async function admit(request: WebRequest, at: Traveller, user: User): Promise<WebAnswer> {
    const { journey } = at
    const { user_name } = user
    const facts = { user_id: user.id, user_name }
    const device = { udid: journey.device?.udid ?? null, isAutomated: journey.way === 'ade_web' }
    const { steps, refusal, counts } = await judgeSignedIn(deps, user, device)
    if (refusal !== undefined) {
      await travel.refuse(request, journey, { ...refusal, user_name, steps, facts, ends: true })
      const explains = (await settings.get()).device_limit_message === 'explain'
      return end(request, at, refusal.reason, explains ? counts : undefined)
    }
    // At the page the attempt begins with the certificate, and is known by this name until then.
    const attempt_id = journey.attempt_id ?? newId(deps.clock.now())
    const isOpen = await deps.db.transaction(async (trx) => {
      const attempt = await deps.attempts.lock(trx, attempt_id)
      if (attempt?.outcome !== 'in_progress') return journey.way === 'page'
      await deps.attempts.note(trx, attempt_id, facts)
      await deps.attempts.step(trx, attempt_id, ...steps)
      return true
    })
    const signedIn = { attempt_id, user: { id: user.id, name: user_name }, change: null }
    const renewed = isOpen ? await signin.sessions.renew(at.session, signedIn) : undefined
    if (renewed === undefined) return startAgain(request, journey.way)
    return { kind: 'redirect', to: ENDS[journey.way], setCookie: renewed.setCookie }
  }

  async function end(
    request: WebRequest,
    { session }: Traveller,
    reason: ReasonCode,
    limit: { count: number; limit: number } | undefined,
  ): Promise<WebAnswer> {
    return { ...refusedAnswer(request, reason, { limit }), setCookie: await signin.sessions.end(session) }
  }

  /** Notes a sign-in that failed and shows the form again, or the one for a new password. */
  async function failed(
    request: WebRequest,
    at: Traveller,
    refusal: SignInRefusal,
    typed: { userName: string; password: string } | undefined,
  ): Promise<WebAnswer> {
    const { reason, detail, user, retryAfterSeconds } = refusal
    const name = user?.user_name ?? (typed && (await tellableName(deps, typed.userName)))
    await travel.refuse(request, at.journey, {
      ...{ step: 'sign_in', reason, detail: { problem: detail }, user_name: name, ends: false },
      ...(name !== undefined && { facts: { user_name: name } }),
    })
    if (user !== undefined && typed !== undefined) {
      const change: Journey['change'] = {
        user_name: user.user_name,
        password: typed.password,
        has_expired: reason === 'password_expired',
      }
      const renewed = await signin.sessions.renew(at.session, { change })
      if (renewed === undefined) return startAgain(request, at.journey.way)
      const { session, setCookie } = renewed
      return { ...newPassword(request, { session, journey: { ...at.journey, change } }, null), setCookie }
    }
    return form(request, at, {
      ...signInProblem(request, reason, retryAfterSeconds),
      userName: typed?.userName ?? '',
    })
  }

  /** The traveller, unless the attempt has ended or the page has no push certificate to work with. */
  async function onTheWay(request: WebRequest, at: Traveller): Promise<Traveller | WebAnswer> {
    if (!(await travel.isOpen(at))) return startAgain(request, at.journey.way)
    if ((await deps.push.certificates.current()) !== null) return at
    const reason = 'push_certificate_missing'
    await travel.refuse(request, at.journey, { step: 'profile', reason, detail: {}, ends: true })
    return end(request, at, reason, undefined)
  }

  async function toProvider(request: WebRequest, at: Traveller, sourceId: string): Promise<WebAnswer> {
    const started = await signin.oidc.start({ sourceId, session: at.session })
    if (!started.ok) return failed(request, at, started, undefined)
    const { url: to, setCookie } = started
    return { kind: 'redirect', to, ...(setCookie !== undefined && { setCookie }) }
  }

  return {
    form,

    /** Where a person signs in: the form, or the way to the provider. */
    async show(request: WebRequest): Promise<WebAnswer> {
      const traveller = await travel.find(request)
      return traveller === undefined ? startAgain(request) : this.begin(request, traveller)
    },

    /** The same for a journey that has just begun. */
    async begin(request: WebRequest, traveller: Traveller): Promise<WebAnswer> {
      const { source_id: id, way } = traveller.journey
      const source = id === null || way === 'page' ? undefined : await signin.sources.find(id)
      if (source?.kind !== 'oidc') return form(request, traveller)
      const at = await onTheWay(request, traveller)
      return 'kind' in at ? at : toProvider(request, at, source.id)
    },

    /** A filled-in form. */
    async submit(request: WebRequest, values: Form): Promise<WebAnswer> {
      const traveller = await travel.findForForm(request, values['csrf_token'])
      if (traveller === undefined) return startAgain(request)
      const at = await onTheWay(request, traveller)
      if ('kind' in at) return at
      const { user_name: userName = '', password = '' } = values
      const { address, requestId } = request
      const sourceId = at.journey.source_id
      const result = await signin.verify({ sourceId, userName, password, address, requestId })
      return result.ok ? admit(request, at, result.user) : failed(request, at, result, { userName, password })
    },

    /** A new password in place of one that was right. */
    async changePassword(request: WebRequest, values: Form): Promise<WebAnswer> {
      const traveller = await travel.findForForm(request, values['csrf_token'])
      const change = traveller?.journey.change
      if (traveller === undefined || !change) return startAgain(request, traveller?.journey.way)
      const at = await onTheWay(request, traveller)
      if ('kind' in at) return at
      const { newPassword: words } = request.look.words
      const { new_password: wanted = '', new_password_again: again = '' } = values
      if (wanted !== again) return newPassword(request, at, words.unequal)
      const { address, requestId } = request
      const user = { user_name: change.user_name }
      const passwords = { oldPassword: change.password, newPassword: wanted }
      const result = await signin.changePassword({ user, ...passwords, address, requestId })
      if (result.ok) return admit(request, at, result.user)
      if (result.reason === 'password_refused') return newPassword(request, at, words.refused(result.detail))
      return failed(request, at, result, undefined)
    },

    /** A link to a provider of the page. */
    async startOidc(request: WebRequest, sourceId: string): Promise<WebAnswer> {
      const traveller = await travel.find(request)
      if (traveller?.journey.way !== 'page') return startAgain(request, traveller?.journey.way)
      // The page has no link to anything else.
      const isProvider = (await signin.sources.find(sourceId))?.kind === 'oidc'
      if (!isProvider) return form(request, traveller, signInProblem(request, 'sign_in_required'))
      const at = await onTheWay(request, traveller)
      return 'kind' in at ? at : toProvider(request, at, sourceId)
    },

    /** The way back from a provider. */
    async finishOidc(request: WebRequest, query: URLSearchParams): Promise<WebAnswer> {
      const traveller = await travel.find(request)
      const { requestId } = request
      const result = await signin.oidc.finish({ session: traveller?.session, query, requestId })
      if (traveller === undefined) {
        if (!result.ok) tellLost(requestId, result.detail)
        return startAgain(request)
      }
      const at = await onTheWay(request, traveller)
      if ('kind' in at) return at
      return result.ok ? admit(request, at, result.user) : failed(request, at, result, undefined)
    },
  }

  function tellLost(requestId: string, problem: string): void {
    const reason = 'sign_in_required'
    deps.events.announce({
      type: 'enrollment.sign_in_refused',
      reason,
      request_id: requestId,
      data: { problem },
    })
  }
}
