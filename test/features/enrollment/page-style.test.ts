import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { html } from '../../../src/features/entry/pages/html.ts'
import { lookFor } from '../../../src/features/entry/pages/language.ts'
import { layout, PAGE_HEADERS } from '../../../src/features/entry/pages/layout.ts'

const look = lookFor('en', { organization_name: null, support_phone_number: null })

test('the policy of a page lets exactly its own style pass', () => {
  const style = /<style>([\s\S]*?)<\/style>/.exec(layout(look, 'Title', html`<p>text</p>`))?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  expect(style.length).toBeGreaterThan(100)
  expect(PAGE_HEADERS['content-security-policy']).toContain(`'sha256-${hash}'`)
})
