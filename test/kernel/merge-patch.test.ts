import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergePatch } from '../../src/kernel/merge-patch.ts'

test.each([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('RFC 7396, appendix A: %j with %j is %j', (target, patch, expected) => {
  expect(mergePatch(target, patch)).toEqual(expected)
})

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>
const withoutNulls = json.filter((value) => !JSON.stringify(value).includes('null'))

test('a patch without null, applied to nothing, is itself, and a second time changes nothing', () => {
  fc.assert(
    fc.property(json, withoutNulls, (target, patch) => {
      expect(JSON.stringify(mergePatch(undefined, patch))).toBe(JSON.stringify(patch))
      const once = mergePatch(target, patch)
      expect(mergePatch(once, patch)).toEqual(once)
    }),
    { numRuns: 300 },
  )
})

test('neither the target nor the patch is changed, and no prototype', () => {
  fc.assert(
    fc.property(json, json, (target, patch) => {
      const before = JSON.stringify([target, patch])
      mergePatch(target, patch)
      expect(JSON.stringify([target, patch])).toBe(before)
    }),
    { numRuns: 200 },
  )
  const merged = mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}'))
  expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
  expect('polluted' in {}).toBe(false)
})
