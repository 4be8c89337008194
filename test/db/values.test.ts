import fc from 'fast-check'
import { expect, test } from 'vitest'
import { withoutNul } from '../../src/db/index.ts'

test('U+0000 and unpaired surrogates become U+FFFD, deep in arrays, objects and their keys', () => {
  const given = { 'a\0': ['x\0y', { b: '\uD800' }], n: 1, none: null, plain: 'ä😀' }
  expect(withoutNul(given)).toEqual({
    'a\uFFFD': ['x\uFFFDy', { b: '\uFFFD' }],
    n: 1,
    none: null,
    plain: 'ä😀',
  })
})

test('dates, buffers and other things with a class are left as they are', () => {
  const date = new Date()
  const bytes = Buffer.from([0, 1])
  expect(withoutNul({ date, bytes })).toEqual({ date, bytes })
  expect(withoutNul({ bytes }).bytes).toBe(bytes)
})

test('a key named __proto__ stays a key', () => {
  const cleaned = withoutNul(JSON.parse('{"__proto__": {"x": "\\u0000"}}') as object)
  expect(Object.getPrototypeOf(cleaned)).toBe(Object.prototype)
  expect(JSON.stringify(cleaned)).toBe('{"__proto__":{"x":"\uFFFD"}}')
})

test('nothing that JSON can say keeps one', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      expect(JSON.stringify(withoutNul(value))).not.toMatch(/\\u0000|\\ud[89a-f]/)
    }),
  )
})
