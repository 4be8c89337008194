import { describe, expect, test } from 'vitest'
import { lookFor, pickLanguage } from '../../../src/features/entry/pages/language.ts'
import { endPage } from '../../../src/features/entry/pages/refused.ts'

describe('the language of a reader', () => {
  test.each([
    [undefined, 'en'],
    ['', 'en'],
    ['de', 'de'],
    ['de-CH, de;q=0.9, en;q=0.8', 'de'],
    ['DE-ch', 'de'],
    ['fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5', 'fr'],
    ['en;q=0.3, fr;q=0.7', 'fr'],
    ['it, fr;q=0.5', 'fr'],
    ['it, rm;q=0.9', 'en'],
    ['en;q=0.1,de;q=0.100', 'en'],
    ['de;q=0', 'en'],
    ['de;q=0, fr;q=0, *', 'en'],
    ['en;q=0, de;q=0, *', 'fr'],
    ['de;q=0.000, fr;q=0.001', 'fr'],
    ['*', 'en'],
    [' de ; q = 0.9 , fr ; q = 1.000', 'fr'],
    // Weights that are none leave the wish out.
    ['de;q=2, fr;q=0.1', 'fr'],
    ['de;q=1.1, fr;q=-1, en;q=0.0001', 'en'],
    ['de;q=0x1', 'en'],
    ['de;level=1, fr;q=0.2', 'fr'],
    ['__proto__, constructor;q=0.9, de;q=0.1', 'de'],
    [`${'it,'.repeat(49)}de`, 'de'],
    [`${'it,'.repeat(50)}de`, 'en'],
    [`de,${'x'.repeat(2_000)}`, 'en'],
  ])('%j is %s', (header, language) => {
    expect(pickLanguage(header)).toBe(language)
  })
})

test('a page has its language, the organization and whom to call, as text', () => {
  const settings = { organization_name: 'Müller & <Söhne>', support_phone_number: '+41 31 555 01 00' }
  const look = lookFor('de-CH', settings)
  const page = endPage(look, { ...look.words.limit, text: look.words.limit.text(3, 3), reference: 'r-1' })
  expect(page).toContain('<html lang="de">')
  expect(page).toContain('Müller &amp; &lt;Söhne&gt;')
  expect(page).toContain('<a href="tel:+41315550100">+41 31 555 01 00</a>')
  expect(page).toContain('Sie haben 3 von 3 Geräten.')
  const bare = endPage(lookFor(undefined, { organization_name: null, support_phone_number: null }), {
    heading: 'h',
    text: 't',
    reference: 'r',
  })
  expect(bare).toContain('<html lang="en">')
  expect(bare).not.toMatch(/tel:|class="organization"/)
})
