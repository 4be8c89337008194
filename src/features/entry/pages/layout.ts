import { sha256 } from '../../../kernel/ids.ts'
import { html, type Html } from './html.ts'
import type { Look } from './language.ts'
import { STYLE } from './style.ts'

const STYLE_HASH = sha256(STYLE).toString('base64')

/** The headers of every page: no script, no frames, nothing from elsewhere, nothing kept, forms to this server alone. */
export const PAGE_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

/** A whole page around its main part; `heading` is its title too. The hash is of all that stands within <style>. */
export function layout(look: Look, heading: string, main: Html): string {
  const { language, words, organization, supportPhone } = look
  const page = html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <meta name="color-scheme" content="light dark" />
        <title>${heading}</title>
        <style>${{ markup: STYLE }}</style>
      </head>
      <body>
        <main>
          ${organization === null ? null : html`<p class="organization">${organization}</p>`}
          <h1>${heading}</h1>
          ${main} ${supportPhone === null ? null : help(words.help, supportPhone)}
        </main>
      </body>
    </html> `
  return page.markup
}

function help(word: string, phone: string): Html {
  const dialled = phone.replace(/[^\d+*#]/g, '')
  return html`<p class="soft small">${word} <a href="tel:${dialled}">${phone}</a></p>`
}
