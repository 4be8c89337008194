import type { EntryDeps } from '../power-on/deps.ts'
import { signInProblem, startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import { signInForm } from './forms.ts'
import type { Outcomes } from './outcomes.ts'
import type { Travel, Traveller } from './travel.ts'

/** The steps by which a person signs in at an OpenID provider. */
export function createOidcSteps(
  { signin, events }: EntryDeps,
  travel: Travel,
  { admit, failed, onTheWay }: Outcomes,
) {
  async function toProvider(request: WebRequest, at: Traveller, sourceId: string): Promise<WebAnswer> {
    const started = await signin.oidc.start({ sourceId, session: at.session })
    if (!started.ok) return failed(request, at, started, undefined)
    const { url: to, setCookie } = started
    return { kind: 'redirect', to, ...(setCookie !== undefined && { setCookie }) }
  }

  function tellLost(request_id: string, problem: string): void {
    events.announce({
      type: 'enrollment.sign_in_refused',
      reason: 'sign_in_required',
      request_id,
      data: { problem },
    })
  }

  return {
    /** Sends someone who is on the way to a provider. */
    toProvider,

    /** A link to a provider of the page. */
    async startOidc(request: WebRequest, sourceId: string): Promise<WebAnswer> {
      const traveller = await travel.find(request)
      if (traveller?.journey.way !== 'page') return startAgain(request, traveller?.journey.way)
      // The page has no link to anything else.
      const isProvider = (await signin.sources.find(sourceId))?.kind === 'oidc'
      if (!isProvider)
        return signInForm(signin, request, traveller, signInProblem(request, 'sign_in_required'))
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
}
