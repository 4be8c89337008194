import { newId } from '../../../kernel/ids.ts'
import type { ReasonCode } from '../../attempts/index.ts'
import type { SignInRefusal } from '../../signin/index.ts'
import type { User } from '../../users/index.ts'
import type { EntryDeps } from '../power-on/deps.ts'
import { judgeSignedIn, tellableName } from '../power-on/person.ts'
import { refusedAnswer, signInProblem, startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import { newPasswordForm, signInForm } from './forms.ts'
import type { Journey } from './journey.ts'
import type { Travel, Traveller } from './travel.ts'

const ENDS = { ade_web: '/enroll/profile', page: '/enroll/ready' } as const

/** See `createOutcomes`. */
export type Outcomes = ReturnType<typeof createOutcomes>

/** What comes of a sign-in on pages, whatever way the person took to prove who they are. */
export function createOutcomes(deps: EntryDeps, travel: Travel) {
  const { signin, settings } = deps

  async function end(
    request: WebRequest,
    { session }: Traveller,
    reason: ReasonCode,
    limit: { count: number; limit: number } | undefined,
  ): Promise<WebAnswer> {
    return { ...refusedAnswer(request, reason, { limit }), setCookie: await signin.sessions.end(session) }
  }

  return {
    /** Lets someone who has proved who they are have the device, or says why not. */
    async admit(request: WebRequest, at: Traveller, user: User): Promise<WebAnswer> {
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
    },

    /** Notes a sign-in that failed and shows the form again, or the one for a new password. */
    async failed(
      request: WebRequest,
      at: Traveller,
      refusal: SignInRefusal,
      typed: { userName: string; password: string } | undefined,
    ): Promise<WebAnswer> {
      const { reason, detail, user, retryAfterSeconds } = refusal
      const name = user?.user_name ?? (typed && (await tellableName(deps, typed.userName)))
      await travel.refuse(request, at.journey, {
        step: 'sign_in',
        reason,
        detail: { problem: detail },
        user_name: name,
        ends: false,
        ...(name !== undefined && { facts: { user_name: name } }),
      })
      if (user === undefined || typed === undefined)
        return signInForm(signin, request, at, {
          ...signInProblem(request, reason, retryAfterSeconds),
          userName: typed?.userName ?? '',
        })
      const { user_name } = user
      const change: Journey['change'] = {
        user_name,
        password: typed.password,
        has_expired: reason === 'password_expired',
      }
      const renewed = await signin.sessions.renew(at.session, { change })
      if (renewed === undefined) return startAgain(request, at.journey.way)
      const { session, setCookie } = renewed
      return { ...newPasswordForm(request, { session, journey: { ...at.journey, change } }, null), setCookie }
    },

    /** The traveller, unless the attempt has ended or the page has no push certificate to work with. */
    async onTheWay(request: WebRequest, at: Traveller): Promise<Traveller | WebAnswer> {
      if (!(await travel.isOpen(at))) return startAgain(request, at.journey.way)
      if ((await deps.push.certificates.current()) !== null) return at
      const reason = 'push_certificate_missing'
      await travel.refuse(request, at.journey, { step: 'profile', reason, detail: {}, ends: true })
      return end(request, at, reason, undefined)
    },
  }
}
