import { html, type Html } from './html.ts'
import type { Look } from './language.ts'
import { layout } from './layout.ts'
import type { Words } from './words/words.ts'

/** What the sign-in page shows. */
interface SignInPage {
  /** Where the form goes; null where people sign in elsewhere only. */
  action: string | null
  csrfToken: string
  /** What was typed the last time, and what was wrong with it. */
  userName: string
  problem: string | null
  /** Providers with a page of their own. */
  others: readonly { name: string; href: string }[]
}

/** The page on which a person signs in so that a device becomes theirs. */
export function signInPage(look: Look, page: SignInPage): string {
  const { action, problem, others } = page
  const { signIn: words } = look.words
  return layout(
    look,
    words.heading,
    html`<p class="soft">${words.intro}</p>
      ${problem === null ? null : alertOf(problem)} ${action === null ? null : formOf(words, page, action)}
      ${action === null || others.length === 0 ? null : html`<p class="or">${words.or}</p>`}
      ${others.map(({ name, href }) => html`<a class="button other" href="${href}">${words.with(name)}</a>`)}`,
  )
}

/** What went wrong, told at once to those who hear the page. */
export function alertOf(problem: string): Html {
  return html`<p class="alert" role="alert" id="problem">${problem}</p>`
}

/** Attributes that tie a field to what is wrong with it. */
export function tiedTo(problem: string | null): Html | null {
  return problem === null ? null : html` aria-invalid="true" aria-describedby="problem"`
}

function formOf(words: Words['signIn'], { csrfToken, userName, problem }: SignInPage, action: string): Html {
  const [name, password] = userName === '' ? [html` autofocus`, null] : [null, html` autofocus`]
  return html`<form method="post" action="${action}">
    <input type="hidden" name="csrf_token" value="${csrfToken}" />
    <label for="user_name">${words.userName}</label>
    <input
      id="user_name"
      name="user_name"
      type="text"
      value="${userName}"
      required
      maxlength="255"
      autocomplete="username"
      autocapitalize="none"
      autocorrect="off"
      spellcheck="false"
      ${tiedTo(problem)}${name}
    />
    <label for="password">${words.password}</label>
    <input
      id="password"
      name="password"
      type="password"
      required
      maxlength="1024"
      autocomplete="current-password"
      ${tiedTo(problem)}${password}
    />
    <button type="submit">${words.submit}</button>
  </form>`
}
