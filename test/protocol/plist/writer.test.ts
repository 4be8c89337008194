import * as fc from 'fast-check'
import { parse } from 'plist'
import { expect, test } from 'vitest'
import { parsePlist, writePlist } from '../../../src/protocol/plist/index.ts'
import type { WritablePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { plain } from './plain.ts'

test('the form of Apple', () => {
  const xml = writePlist({
    b: 'x & <y>',
    a: [1, -2n, 1.5, true, new Date('2026-01-02T03:04:05.678Z'), Buffer.from([1, 2, 3])],
    left: undefined,
    empty: {},
    none: [],
  })
  expect(xml).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
\t<key>b</key>
\t<string>x &amp; &lt;y&gt;</string>
\t<key>a</key>
\t<array>
\t\t<integer>1</integer>
\t\t<integer>-2</integer>
\t\t<real>1.5</real>
\t\t<true/>
\t\t<date>2026-01-02T03:04:05Z</date>
\t\t<data>AQID</data>
\t</array>
\t<key>empty</key>
\t<dict/>
\t<key>none</key>
\t<array/>
</dict>
</plist>
`)
})

test('what cannot be written is refused with its path', () => {
  const deep: unknown[] = []
  deep.push(deep)
  const cases: [unknown, string][] = [
    [{ a: [1, null] }, 'a[1]: null cannot be written'],
    [{ a: { b: 'x\u0000' } }, 'a.b: the character U+0000 cannot be written'],
    [{ a: 'x\u001f' }, 'a: the character U+001F cannot be written'],
    [{ a: '\uffff' }, 'a: the character U+FFFF cannot be written'],
    [{ 'k\u0007': 1 }, 'k\u0007: the character U+0007 cannot be written'],
    ['\ud800', 'a lone surrogate cannot be written'],
    [NaN, 'not a finite number'],
    [2n ** 64n, 'integer out of range'],
    [-(2n ** 63n) - 1n, 'integer out of range'],
    [new Date(NaN), 'not a date that can be written'],
    [new Date('+010000-01-01T00:00:00Z'), 'not a date that can be written'],
    [[undefined], '[0]: undefined cannot be written'],
    [deep, `${'[0]'.repeat(64)}: nested deeper than 64`],
    [{ a: () => 1 }, 'a: function cannot be written'],
  ]
  for (const [value, message] of cases) {
    expect(refusal(() => writePlist(value as WritablePlist))).toMatchObject({
      code: 'plist_invalid',
      message,
    })
  }
})

const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('&', '<', '>', '"', "'", ']]>', '\t', '\n', ' '),
      fc.string({ unit: 'grapheme' }),
    ),
  })
  // eslint-disable-next-line no-control-regex
  .map((value) => value.replace(/[\u0000-\u0008\u000b-\u001f\ufffd-\uffff]/g, ''))
const { value } = fc.letrec<{ value: WritablePlist }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((real) => real + 0),
    fc.boolean(),
    fc
      .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => new Date(Math.trunc(date.getTime() / 1000) * 1000)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__' && key !== ''),
      tie('value'),
      { maxKeys: 6 },
    ),
  ),
}))

/** The same document for a parser that ends lines as XML 1.1 does: it would take these characters for line feeds. */
function withReferences(xml: string): string {
  return xml.replace(/[\u0085\u2028\u2029]/g, (char) => `&#${char.charCodeAt(0)};`)
}

test('what is written is read back, by the reader and by the plist package', () => {
  fc.assert(
    fc.property(value, (input) => {
      const xml = writePlist(input)
      const expected = plain(input)
      expect(plain(parsePlist(Buffer.from(xml)))).toEqual(expected)
      expect(plain(parse(withReferences(xml)))).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

test('bigints and carriage returns survive', () => {
  const input = [2n ** 64n - 1n, -(2n ** 63n), 'a\r\nb']
  expect(parsePlist(Buffer.from(writePlist(input)))).toEqual(input)
})
