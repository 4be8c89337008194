import { html } from './html.ts'
import type { Look } from './language.ts'
import { layout } from './layout.ts'
import { alertOf, tiedTo } from './sign-in.ts'

/** The page on which a person whose password has expired, or must be changed, chooses a new one. */
export function passwordPage(
  look: Look,
  page: {
    action: string
    csrfToken: string
    userName: string
    hasExpired: boolean
    problem: string | null
  },
): string {
  const { action, csrfToken, userName, hasExpired, problem } = page
  const { newPassword: words } = look.words
  return layout(
    look,
    words.heading,
    html`<p class="soft">${(hasExpired ? words.expired : words.mustChange)(userName)}</p>
      ${problem === null ? null : alertOf(problem)}
      <form method="post" action="${action}">
        <input type="hidden" name="csrf_token" value="${csrfToken}" />
        <label for="new_password">${words.first}</label>
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
        <label for="new_password_again">${words.again}</label>
        <input
          id="new_password_again"
          name="new_password_again"
          type="password"
          required
          maxlength="1024"
          autocomplete="new-password"
          ${tiedTo(problem)}
        />
        <button type="submit">${words.submit}</button>
      </form>`,
  )
}
