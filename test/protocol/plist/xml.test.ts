import * as fc from 'fast-check'
import { build, parse } from 'plist'
import type { PlistValue as ReferenceValue } from 'plist'
import { describe, expect, test } from 'vitest'
import { parsePlist } from '../../../src/protocol/plist/index.ts'
import type { PlistDict } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { plain } from './plain.ts'

const HEAD =
  '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'

const wrap = (body: string) => Buffer.from(`${HEAD}<plist version="1.0">${body}</plist>\n`)
const read = (body: string) => parsePlist(wrap(body))
const refused = (body: string | Uint8Array) =>
  refusal(() => parsePlist(typeof body === 'string' ? wrap(body) : body))

describe('values', () => {
  test.each<[string, unknown]>([
    ['<string>a</string>', 'a'],
    ['<string/>', ''],
    ['<string></string>', ''],
    ['<string >a</string >', 'a'],
    ['<string>&lt;&amp;&gt;&quot;&apos;&#65;&#x1F600;</string>', '<&>"\'A😀'],
    ['<string>a<!-- b -->c<![CDATA[<&amp;>]]>d</string>', 'ac<&amp;>d'],
    ['<string>a\r\nb\rc&#13;</string>', 'a\nb\nc\r'],
    ['<string>\u0000\u0001</string>', '\u0000\u0001'],
    ['<integer>0</integer>', 0],
    ['<integer>-0</integer>', 0],
    ['<integer> +12\n</integer>', 12],
    ['<integer>-0x1F</integer>', -31],
    ['<integer>9007199254740991</integer>', 9007199254740991],
    ['<integer>9007199254740992</integer>', 9007199254740992n],
    ['<integer>18446744073709551615</integer>', 18446744073709551615n],
    ['<integer>-9223372036854775808</integer>', -9223372036854775808n],
    ['<real>1.5e3</real>', 1500],
    ['<real>.5</real>', 0.5],
    ['<real>-infinity</real>', -Infinity],
    ['<real>nan</real>', NaN],
    ['<true/>', true],
    ['<false></false>', false],
    ['<date>2024-02-29T23:59:59Z</date>', new Date('2024-02-29T23:59:59Z')],
    ['<date>0001-01-01T00:00:00Z</date>', new Date('0001-01-01T00:00:00Z')],
    ['<data>\n\tAAEC\n\tAw==\n</data>', Buffer.from([0, 1, 2, 3])],
    ['<data>AAECAw</data>', Buffer.from([0, 1, 2, 3])],
    ['<data/>', Buffer.alloc(0)],
    ['<array/>', []],
    ['<array><!-- x --><?pi x?><true/> <false/></array>', [true, false]],
  ])('%s', (body, expected) => {
    expect(read(body)).toEqual(expected)
  })

  test('a dictionary keeps its order, and the last value of a repeated key', () => {
    const dict = read('<dict><key>b</key><true/><key>a</key><integer>1</integer><key>b</key><false/></dict>')
    expect(Object.entries(dict)).toEqual([
      ['b', false],
      ['a', 1],
    ])
  })

  test('keys that mean something to objects are plain data', () => {
    const dict = read(
      '<dict><key>__proto__</key><dict><key>polluted</key><true/></dict><key>constructor</key><true/>' +
        '<key>hasOwnProperty</key><string>x</string></dict>',
    ) as PlistDict
    expect(Object.getPrototypeOf(dict)).toBeNull()
    expect(Object.keys(dict)).toEqual(['__proto__', 'constructor', 'hasOwnProperty'])
    expect(Object.getPrototypeOf(dict['__proto__'])).toBeNull()
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('a byte order mark, UTF-16 of both orders, no prolog', () => {
    const bare = '<plist><string>é漢</string></plist>'
    expect(parsePlist(Buffer.from(bare))).toBe('é漢')
    expect(parsePlist(Buffer.from(`\ufeff${HEAD}${bare}`))).toBe('é漢')
    const wide = Buffer.from(`\ufeff<?xml version="1.0" encoding="UTF-16"?>${bare}`, 'utf16le')
    expect(parsePlist(wide)).toBe('é漢')
    expect(parsePlist(Buffer.from(wide).swap16())).toBe('é漢')
  })
})

describe('refusals', () => {
  test.each<[string, string]>([
    ['', 'unexpected "</plist" at byte 163'],
    ['<true/><true/>', '</plist> is missing'],
    ['hello', 'text outside of a value'],
    ['<array>x</array>', 'text outside of a value'],
    ['<array><![CDATA[x]]></array>', 'unexpected "<!"'],
    ['<null/>', 'unexpected "<null"'],
    ['<xstring>a</xstring>', 'unexpected "<xstring"'],
    ['<strings>a</strings>', 'unexpected "<strings"'],
    ['<dada>AA==</dada>', 'unexpected "<dada"'],
    ['<string a="b">a</string>', 'unexpected "<string"'],
    ['<string>a</strin>', '</string> is missing'],
    ['<string>a<b/></string>', '</string> is missing'],
    ['<true>x</true>', 'text outside of a value'],
    ['<dict><key>a</key></dict>', 'a key without value'],
    ['<dict><string>a</string></dict>', 'unexpected "<string"'],
    ['<dict><key>a</key><key>b</key></dict>', 'unexpected "<key"'],
    ['<array></dict>', '</array> is missing'],
    ['<integer/>', 'not an integer'],
    ['<integer>1.5</integer>', 'not an integer'],
    ['<integer>0x</integer>', 'not an integer'],
    ['<integer>18446744073709551616</integer>', 'integer out of range'],
    ['<real>1,5</real>', 'not a real number'],
    ['<date>2023-02-29T00:00:00Z</date>', 'not a date'],
    ['<date>2023-02-28T24:00:00Z</date>', 'not a date'],
    ['<date>2023-02-28</date>', 'not a date'],
    ['<data>A</data>', 'not base64'],
    ['<data>AA-_</data>', 'not base64'],
    ['<data>é</data>', 'not base64'],
    ['<string>&nbsp;</string>', 'unknown entity reference'],
    ['<string>&lt</string>', 'unknown entity reference'],
    ['<string>& lt;</string>', 'unknown entity reference'],
    ['<string>&#0;</string>', 'unknown entity reference'],
    ['<string>&#xD800;</string>', 'unknown entity reference'],
    ['<string>&#x110000;</string>', 'unknown entity reference'],
    ['<string>&toString;</string>', 'unknown entity reference'],
    ['<!-- a -- b --><true/>', 'the comment is not well-formed'],
    ['<string>a<!ELEMENT b></string>', 'a declaration where none may be'],
    ['<string><![CDATA[a</string>', 'CDATA is not closed'],
    ['<?pi <true/>', 'the processing instruction is not closed'],
  ])('%s', (body, reason) => {
    expect(refused(body)).toMatchObject({ code: 'plist_invalid', message: expect.stringContaining(reason) })
  })

  test.each<[string, string]>([
    ['', 'no <plist>'],
    ['{"a": 1}', 'text outside of a value'],
    ['<html></html>', 'no <plist>'],
    ['<plist version="1.0"/>', 'no <plist>'],
    ['<plist><true/>', '</plist> is missing'],
    ['<plist><true/></plist>x', 'text outside of a value'],
    ['<plist><true/></plist>\u0000', 'text outside of a value'],
    ['<plist><true/></plist><plist><true/></plist>', 'something follows the document'],
    ['<?xml version="1.0" encoding="ISO-8859-1"?><plist><true/></plist>', 'unsupported encoding'],
    ['<!DOCTYPE html><plist><true/></plist>', 'DOCTYPE'],
    ['<!DOCTYPE plist [<!ENTITY a "b">]><plist><string>&a;</string></plist>', 'DOCTYPE'],
    ['<!DOCTYPE plist SYSTEM "file:///etc/passwd" [ ]><plist><true/></plist>', 'DOCTYPE'],
    ['<!ENTITY a "b"><plist><string>&a;</string></plist>', 'no <plist>'],
    ['<!DOCTYPE plist PUBLIC "a" "b"><!DOCTYPE plist><plist><true/></plist>', 'no <plist>'],
  ])('%s', (document, reason) => {
    expect(refused(Buffer.from(document))).toMatchObject({
      code: 'plist_invalid',
      message: expect.stringContaining(reason),
    })
  })

  test('numbers of a million digits', () => {
    const digits = '1'.repeat(1_000_000)
    expect(refused(`<integer>${digits}</integer>`)?.message).toContain('not an integer')
    expect(refused(`<real>${digits}x</real>`)?.message).toContain('not a real number')
  })

  test('a billion laughs', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`)
    const bomb = `<!DOCTYPE plist [<!ENTITY l0 "ha">${levels.join('')}]><plist><string>&l9;</string></plist>`
    expect(refused(Buffer.from(bomb))?.message).toContain('DOCTYPE')
  })

  test('invalid UTF-8 wherever it stands', () => {
    const places = [
      ['<plist><string>', '</string></plist>'],
      ['<plist><dict><key>', '</key><true/></dict></plist>'],
      ['<plist><!-- ', ' --><true/></plist>'],
      ['<?xml version="1.0" ', '?><plist><true/></plist>'],
      ['<plist><true/></plist>', ''],
    ] as const
    const bad = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80]]
    for (const [before, after] of places) {
      for (const bytes of bad) {
        const document = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
        expect(refused(document)?.message).toBe('not valid UTF-8')
      }
    }
    expect(refused(Buffer.from('\ufeff<plist>\ud800</plist>', 'utf16le'))?.message).toBe('not valid UTF-16')
    expect(refused(Buffer.from([0xff, 0xfe, 0x3c]))?.message).toBe('not valid UTF-16')
  })

  test('the offset is counted in bytes', () => {
    const document = '<plist><array><string>é漢😀</string><wrong/></array></plist>'
    const offset = Buffer.from(document).indexOf('<wrong')
    expect(refused(Buffer.from(document))?.message).toBe(`unexpected "<wrong" at byte ${offset}`)
  })

  test('a document cut off at any byte', () => {
    const whole = wrap(
      '<dict><key>a&amp;é</key><array><data>AAEC</data><date>2024-01-01T00:00:00Z</date><real>1.5</real>' +
        '<string><![CDATA[x]]></string><true/></array></dict>',
    ).subarray(0, -1)
    for (let length = 0; length < whole.length; length++) {
      expect(refused(whole.subarray(0, length))?.code).toBe('plist_invalid')
    }
  })
})

test('bytes changed at random: read or refused, never another error', () => {
  const whole = wrap(
    '<dict><key>a&amp;é</key><array><data>AAEC</data><date>2024-01-01T00:00:00Z</date><real>1.5</real>' +
      '<!-- c --><string><![CDATA[x]]></string><integer>-5</integer><false/></array></dict>',
  )
  const change = fc.record({
    at: fc.nat(whole.length - 1),
    byte: fc.oneof(fc.constantFrom(...Buffer.from('<>/!?&;[]-" \r')), fc.nat(255)),
  })
  let unchanged = 0
  fc.assert(
    fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(whole)
      for (const { at, byte } of changes) bytes[at] = byte
      const reason = refused(bytes)
      if (reason === undefined) unchanged++
      else expect(reason.code).toBe('plist_invalid')
    }),
    { numRuns: 1000 },
  )
  expect(unchanged).toBeGreaterThan(0)
})

describe('limits', () => {
  test('nesting of 100,000 is refused at the limit, 64 is read', () => {
    expect(read('<array>'.repeat(64) + '</array>'.repeat(64))).toBeInstanceOf(Array)
    const deep = '<array>'.repeat(100_000)
    expect(refused(deep)?.message).toMatch(/^nested deeper than 64 at byte \d{3}$/)
    expect(refused('<dict><key>a</key>'.repeat(100_000))?.message).toMatch(/^nested deeper than 64/)
  })

  test('values and bytes are counted', () => {
    expect(refused('<true/>'.repeat(600_000))?.message).toContain('</plist> is missing')
    expect(refused(`<array>${'<true/>'.repeat(600_000)}</array>`)?.message).toContain(
      'more than 500000 values',
    )
    const three = wrap('<array><true/><true/></array>')
    expect(parsePlist(three, { maxNodes: 3 })).toEqual([true, true])
    expect(refusal(() => parsePlist(three, { maxNodes: 2 }))?.message).toContain('more than 2 values')
    expect(refusal(() => parsePlist(three, { maxBytes: 10 }))?.message).toBe('larger than 10 bytes')
    expect(refusal(() => parsePlist(three, { maxDepth: 0 }))?.message).toContain('nested deeper than 0')
  })
})

describe('against the plist package', () => {
  // The reference reads U+0085, U+2028 and U+2029 as line ends; the first two are that in XML 1.1, and none in 1.0.
  const text = fc
    .string({ unit: 'grapheme', maxLength: 30 })
    .filter((value) => !/[\u0085\u2028\u2029\ufffd]/.test(value))
  const key = text.filter((name) => name !== '__proto__' && name !== '')
  const { value } = fc.letrec<{ value: ReferenceValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      text,
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((real) => !Number.isInteger(real)),
      fc.boolean(),
      fc
        .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
        .map((date) => new Date(Math.trunc(date.getTime() / 1000) * 1000)),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc.array(tie('value'), { maxLength: 6 }),
      fc.dictionary(key, tie('value'), { maxKeys: 6 }),
    ),
  }))

  test('what it writes is read alike by both', () => {
    fc.assert(
      fc.property(value, fc.boolean(), (input, pretty) => {
        const xml = build(input, { pretty })
        expect(plain(parsePlist(Buffer.from(xml)))).toEqual(plain(parse(xml)))
      }),
      { numRuns: 300 },
    )
  })
})
