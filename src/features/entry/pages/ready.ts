import { html, type Html } from './html.ts'
import type { Look } from './language.ts'
import { layout } from './layout.ts'

/** The page with the profile, and what to tap after its download. */
export function readyPage(look: Look, page: { href: string; userName: string }): string {
  const { ready } = look.words
  return layout(
    look,
    ready.heading,
    html`<p class="soft">${ready.signedInAs(page.userName)}</p>
      <a class="button" href="${page.href}">${ready.download}</a>
      <h2>${ready.mobile}</h2>
      ${stepsOf(ready.mobileSteps)}
      <h2>${ready.mac}</h2>
      ${stepsOf(ready.macSteps)}
      <p class="soft small">${ready.hurry}</p>`,
  )
}

function stepsOf(steps: readonly string[]): Html {
  return html`<ol>
    ${steps.map((step) => html`<li>${step}</li>`)}
  </ol>`
}
