import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accountKey } from '../../../src/features/signin/lockout/account-key.ts'

const ANNA = [
  'anna',
  'ANNA',
  ' anna ',
  'anna.',
  '..anna..',
  'an\u00adna',
  'anna\u200b',
  'anna\u{e0001}',
  'a n n a',
  'CORP\\anna',
  'corp.example\\Anna',
  'CORP/anna',
  'anna@corp.example',
  'anna@CORP',
  'anna@corp.example.',
  'CORP\\anna@corp.example',
  '\\anna',
  'anna\\',
  'anna@',
  'x\\y\\anna',
  'ánna',
  'anna\u0301',
  'ånna',
  'ＡＮＮＡ',
  'ａｎｎａ＠corp',
  'CORP＼anna',
  '𝐚𝐧𝐧𝐚',
  'ⓐⓝⓝⓐ',
  'aṅña',
  'ᴬnna',
  'anna\ufe0f',
  '\u202eanna',
  'anna\u3000',
  'anna\u00a0',
  '\ufeffanna',
  'anna\ufffd',
  'anna\ud800',
]

test('spellings of one account count as one', () => {
  for (const spelling of ANNA) expect([spelling, accountKey(spelling)]).toEqual([spelling, 'anna'])
})

test.each([
  ['Jörg.Straße', 'JORG.STRASSE'],
  ['Łukasz', 'lukasz'],
  ['Søren', 'soren'],
  ['ÆSIR', 'aesir'],
  ['ışık', 'ISIK'],
  ['İlker', 'ilker'],
  ['ﬁona', 'FIONA'],
  ['ｱﾝﾅ', 'あんな'],
  ['アンナ', 'あんな'],
  ['ΣΊΣΥΦΟΣ', 'σισυφος'],
  ['ſara', 'SARA'],
])('%s is %s', (one, other) => {
  expect(accountKey(one)).toBe(accountKey(other))
})

test.each([
  ['anna', 'anne'],
  ['anna.b', 'annab'],
  ['anna', 'аnna'],
  ['anna1', 'anna2'],
])('%s is not %s', (one, other) => {
  expect(accountKey(one)).not.toBe(accountKey(other))
})

test('whatever is typed has a key, and the key is its own', () => {
  expect(accountKey('@corp')).toBe('@corp')
  expect(accountKey('\\')).toBe('\\')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 255 }), (name) => {
      const key = accountKey(name)
      expect(accountKey(key)).toBe(key)
      expect(accountKey(name.toUpperCase())).toBe(accountKey(name.toLowerCase()))
    }),
  )
})
