import { html } from './html.ts'
import { layout } from './layout.ts'
import { alertOf, tiedTo } from './sign-in.ts'

/** The page on which a person whose password has expired, or must be changed, chooses a new one. */
export function passwordPage(page: {
  action: string
  csrfToken: string
  userName: string
  hasExpired: boolean
  problem: string | null
}): string {
  const { action, csrfToken, userName, hasExpired, problem } = page
  const why = hasExpired ? 'has expired' : 'must be changed before it can be used'
  return layout(
    'Choose a new password',
    html`<p class="soft">The password of ${userName} ${why}. The new one needs 12 characters or more.</p>
      ${problem === null ? null : alertOf(problem)}
      <form method="post" action="${action}">
        <input type="hidden" name="csrf_token" value="${csrfToken}" />
        <label for="new_password">New password</label>
        <input
          id="new_password"
          name="new_password"
          type="password"
          required
          minlength="12"
          maxlength="1024"
          autocomplete="new-password"
          autofocus${tiedTo(problem)}
        />
        <label for="new_password_again">New password, again</label>
        <input
          id="new_password_again"
          name="new_password_again"
          type="password"
          required
          maxlength="1024"
          autocomplete="new-password"
          ${tiedTo(problem)}
        />
        <button type="submit">Change password and continue</button>
      </form>`,
  )
}
