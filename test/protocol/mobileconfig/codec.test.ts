import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readProfilePlist, writeProfilePlist } from '../../../src/protocol/mobileconfig/codec.ts'
import { WrittenNumber, type ProfileValue } from '../../../src/protocol/mobileconfig/tree.ts'
import { refusal } from '../../support/refusal.ts'

const LIMIT = 50 * 1024 * 1024
const read = (text: string | Uint8Array) =>
  readProfilePlist(typeof text === 'string' ? Buffer.from(text) : text)
const xml = (inside: string, head = '') => `${head}<plist version="1.0"><dict>${inside}</dict></plist>`

describe('what a profile holds', () => {
  test.each([
    ['<real>1.0</real>', new WrittenNumber('real', '1.0')],
    ['<real> -2.50e3 </real>', new WrittenNumber('real', '-2.50e3')],
    ['<real>nan</real>', new WrittenNumber('real', 'nan')],
    ['<integer>1</integer>', new WrittenNumber('integer', '1')],
    ['<integer>18446744073709551615</integer>', new WrittenNumber('integer', '18446744073709551615')],
    ['<integer>-9223372036854775808</integer>', new WrittenNumber('integer', '-9223372036854775808')],
    ['<integer>0x1F</integer>', new WrittenNumber('integer', '0x1F')],
    ['<integer><!-- one -->1</integer>', new WrittenNumber('integer', '1')],
    ['<date>2026-11-30T21:00:05Z</date>', new Date('2026-11-30T21:00:05Z')],
    ['<data>AAEC\n/w==</data>', new Uint8Array([0, 1, 2, 255])],
    ['<data/>', new Uint8Array()],
    ['<string>a &amp; &lt;b&gt; &#x1F600;</string>', 'a & <b> 😀'],
    ['<string><![CDATA[<b>&amp;</b>\r\nend]]> x<!-- y --></string>', '<b>&amp;</b>\nend x'],
    ['<string>a\u2028b\u2029c\u0085d\r\ne&#13;f</string>', 'a\u2028b\u2029c\u0085d\ne\rf'],
    ['<string/>', ''],
    ['<string>  spaces\t</string>', '  spaces\t'],
    ['<array><true/><false></false></array>', [true, false]],
    ['<array/>', []],
  ])('%s is kept through a rendering', (element, value) => {
    const first = read(xml(`<key>v</key>${element}`))
    expect(first).toEqual({ v: value })
    expect(read(writeProfilePlist(first))).toEqual({ v: value })
  })

  test('keys of any kind are kept', () => {
    const found = read(
      xml('<key>a<!-- c -->b<![CDATA[<]]>&amp;</key><true/><key/><true/><key>toString</key><true/>'),
    )
    expect({ ...found }).toEqual({ 'ab<&': true, '': true, toString: true })
    expect({ ...read(writeProfilePlist(found)) }).toEqual({ 'ab<&': true, '': true, toString: true })
  })

  test('all trees are kept', () => {
    const leaf: fc.Arbitrary<ProfileValue> = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('&amp;', '<string>', ']]>', '\r', '\r\n', '\t', '{{', 'n0.i1', '\u2028'),
      fc.boolean(),
      fc
        .bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
        .map((n) => new WrittenNumber('integer', String(n))),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => new WrittenNumber('real', String(n))),
      fc.uint8Array(),
      fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T23:59:59Z') })
        .map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000)),
    )
    const key = fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__')
    const { tree } = fc.letrec<{ tree: ProfileValue }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: false }),
      ),
    }))
    fc.assert(
      fc.property(fc.dictionary(key, tree), (dict) => {
        expect(plain(read(writeProfilePlist(dict)))).toEqual(plain(dict))
      }),
      { numRuns: 300 },
    )
  })
})

/** Without the order of keys and without prototypes. */
function plain(value: ProfileValue): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Uint8Array) return [...value]
  if (typeof value !== 'object' || value instanceof Date || value instanceof WrittenNumber) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

describe('refused', () => {
  test.each([
    ['', 'not a property list'],
    ['hello', 'text outside of a value'],
    ['{"a": 1}', 'text outside of a value'],
    ['<plist version="1.0"><array/></plist>', 'not a dictionary'],
    [xml('<key>a</key><string>&x;</string>', '<!DOCTYPE plist [<!ENTITY x "y">]>'), 'a DOCTYPE other than'],
    [xml('<key>a</key><string>&x;</string>'), 'unknown entity'],
    [xml('<key>a</key>'), 'a key without value'],
    [xml('<key>__proto__</key><dict/>'), '__proto__'],
    [xml('<key>a</key><string>\u0001</string>'), 'U+0001'],
    [xml('<key>a</key><string>&#12;</string>'), 'U+000C'],
    [xml('<key>a</key><string>\uffff</string>'), 'U+FFFF'],
    [xml('<key>a</key><date>2026-02-30T00:00:00Z</date>'), 'not a date'],
    [xml(`<key>a</key>${'<array>'.repeat(10_000)}${'</array>'.repeat(10_000)}`), 'nested deeper than 32'],
    [xml(`<key>a</key><array>${'<true/>'.repeat(60_000)}</array>`), 'more than 50000 values'],
    [`<plist><dict><key>a</key><string>${'x'.repeat(LIMIT)}</string></dict></plist>`, 'larger than'],
  ])('%#', (text, reason) => {
    expect(refusal(() => read(text))).toMatchObject({
      code: 'plist_invalid',
      message: expect.stringContaining(reason) as string,
    })
  })
})
