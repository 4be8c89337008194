import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { userNameKey } from '../../../src/features/users/names.ts'

describe('user names', () => {
  test.each([
    ['anna', 'ANNA'],
    ['Jörg', 'jo\u0308rg'],
    ['Straße', 'STRASSE'],
    ['STRAẞE', 'strasse'],
    ['ΟΔΟΣ', 'οδος'],
    ['οδοσ', 'οδος'],
    ['İstanbul', 'i\u0307stanbul'],
    ['ﬁona', 'FIONA'],
    ['\u212Belvin', 'ÅLVIN'.replace('LV', 'ELV')],
    [' anna ', 'anna'],
  ])('%s and %s are one', (one, other) => {
    expect(userNameKey(one)).toBe(userNameKey(other))
  })

  test.each([
    ['admın', 'admin'],
    ['anna', 'änna'],
    ['а', 'a'],
  ])('%s and %s are two', (one, other) => {
    expect(userNameKey(one)).not.toBe(userNameKey(other))
  })

  test('a key is its own key, in whatever normal form the name comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (name) => {
        const key = userNameKey(name)
        expect(userNameKey(key)).toBe(key)
        expect(userNameKey(name.normalize('NFD'))).toBe(key)
      }),
      { numRuns: 500 },
    )
  })
})
