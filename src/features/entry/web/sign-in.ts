import type { EntryDeps } from '../power-on/deps.ts'
import { startAgain, type WebAnswer, type WebRequest } from './answers.ts'
import { newPasswordForm, signInForm, type Form } from './forms.ts'
import type { createOidcSteps } from './oidc.ts'
import type { Outcomes } from './outcomes.ts'
import type { Travel, Traveller } from './travel.ts'

/** The steps by which a person signs in on pages of ours: name and password, and a new password. */
export function createSignInSteps(
  { signin }: EntryDeps,
  travel: Travel,
  { admit, failed, onTheWay }: Outcomes,
  { toProvider }: Pick<ReturnType<typeof createOidcSteps>, 'toProvider'>,
) {
  /** Where a person signs in: the form, or the way to the provider. */
  async function begin(request: WebRequest, traveller: Traveller): Promise<WebAnswer> {
    const { source_id: id, way } = traveller.journey
    const source = id === null || way === 'page' ? undefined : await signin.sources.find(id)
    if (source?.kind !== 'oidc') return signInForm(signin, request, traveller)
    const at = await onTheWay(request, traveller)
    return 'kind' in at ? at : toProvider(request, at, source.id)
  }

  return {
    begin,

    /** The same for a journey that has begun before. */
    async show(request: WebRequest): Promise<WebAnswer> {
      const traveller = await travel.find(request)
      return traveller === undefined ? startAgain(request) : begin(request, traveller)
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
      if (wanted !== again) return newPasswordForm(request, at, words.unequal)
      const { address, requestId } = request
      const user = { user_name: change.user_name }
      const passwords = { oldPassword: change.password, newPassword: wanted }
      const result = await signin.changePassword({ user, ...passwords, address, requestId })
      if (result.ok) return admit(request, at, result.user)
      if (result.reason === 'password_refused')
        return newPasswordForm(request, at, words.refused(result.detail))
      return failed(request, at, result, undefined)
    },
  }
}
