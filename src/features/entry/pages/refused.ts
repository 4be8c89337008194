import { html } from './html.ts'
import type { Look } from './language.ts'
import { layout } from './layout.ts'

/** A page that tells of an end; `reference` is what an administrator finds it by, `again` where to try once more. */
export function endPage(
  look: Look,
  page: { heading: string; text: string; reference: string; again?: { href: string; text: string } },
): string {
  const { heading, text, reference, again } = page
  return layout(
    look,
    heading,
    html`<p role="alert">${text}</p>
      ${again === undefined ? null : html`<a class="button" href="${again.href}">${again.text}</a>`}
      <p class="soft small">${look.words.forAdministrator} ${reference}</p>`,
  )
}
