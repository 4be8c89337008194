import { html } from './html.ts'
import { layout } from './layout.ts'

/** A page that tells of an end; `reference` is what an administrator finds it by, `again` where to try once more. */
export function endPage(page: {
  heading: string
  text: string
  reference: string
  again?: { href: string; text: string }
}): string {
  const { heading, text, reference, again } = page
  return layout(
    heading,
    html`<p role="alert">${text}</p>
      ${again === undefined ? null : html`<a class="button" href="${again.href}">${again.text}</a>`}
      <p class="soft small">For your administrator: ${reference}</p>`,
  )
}
