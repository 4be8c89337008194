import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parsePlist, salvagePlist, writePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'

const around = (value: string | Buffer) =>
  Buffer.concat([
    Buffer.from('<plist version="1.0"><dict><key>Before</key><string>b</string><key>Odd</key>'),
    Buffer.from(value),
    Buffer.from('<key>List</key><array><string>x</string></array><key>Status</key><string>Fine</string>'),
    Buffer.from('</dict></plist>'),
  ])
const REST = { Before: 'b', List: ['x'], Status: 'Fine' }

/** What is refused, and what is left of it: only the odd value is lost, or that part of it that cannot be read. */
const DAMAGES: Record<string, [value: string | Buffer, odd: unknown]> = {
  'a year of five digits': ['<date>10000-01-01T00:00:00Z</date>', null],
  'the 30th of February': ['<date>2026-02-30T00:00:00Z</date>', null],
  'an integer of 70 bits': ['<integer>1180591620717411303424</integer>', null],
  'an integer that is none': ['<integer>twelve</integer>', null],
  'a real that is none': ['<real>1,5</real>', null],
  'data that is no base64': ['<data>?</data>', null],
  'a byte that is no text': [
    Buffer.concat([Buffer.from('<string>a'), Buffer.of(0xff), Buffer.from('b</string>')]),
    'a\ufffdb',
  ],
  'a reference to U+0000': ['<string>a&#0;b</string>', 'a\ufffd&#0;b'.replace('&#0;', '#0;')],
  'an entity that nobody knows': ['<string>a&who;b</string>', 'a\ufffdwho;b'],
  'an element that nobody knows': ['<foo><key>Status</key><string>no</string></foo>', null],
  'one that is empty': ['<uid/>', null],
  'one that is not closed': ['<foo>', null],
  'one within a text': ['<string>a<b>c</b>d</string>', null],
  'one in a list': ['<array><foo>1</foo><string>y</string></array>', ['y']],
  'a bad value in a list': ['<array><integer>x</integer><integer>1</integer></array>', [1]],
  'a bad value further down': ['<dict><key>A</key><date>never</date><key>B</key><true/></dict>', { B: true }],
  'a key without a value': ['<dict><key>A</key></dict>', {}],
  'a value without a key': ['<dict><true/><key>B</key><true/></dict>', { B: true }],
  'no value at all': ['', null],
  'text between the elements': ['<array>stray<true/></array>', [true]],
  'an end tag that is missing': ['<array><string>y</string>', ['y']],
  'the end of a text that is missing': ['<string>y', null],
  'an end tag too many': ['<true/></array>', true],
  'a wrong end tag': ['<string>y</date>', null],
  'a comment that is not well-formed': ['<!-- a -- b --><true/>', true],
  'too deep a nesting': ['<array>'.repeat(100) + '</array>'.repeat(100), expect.any(Array)],
  'a million of them': ['<array>'.repeat(1_000_000) + '</array>'.repeat(1_000_000), expect.any(Array)],
  'a list of a million values': [`<array>${'<true/>'.repeat(1_000_000)}</array>`, null],
  'a list of a million dictionaries': [`<array>${'<dict/>'.repeat(1_000_000)}</array>`, null],
  'a list of 300,000 dates that are none': [`<array>${'<date/>'.repeat(300_000)}</array>`, []],
}

test.each(Object.entries(DAMAGES))('%s costs itself alone', (_, [value, odd]) => {
  const bytes = around(value)
  expect(refusal(() => parsePlist(bytes))?.code).toBe('plist_invalid')
  const salvaged = salvagePlist(bytes)
  expect({ ...salvaged }).toEqual({ ...REST, Odd: odd })
})

describe('what is not lost', () => {
  const whole = writePlist({ Status: 'Fine', UDID: 'u', List: [{ A: 1 }, { A: 2 }] })

  test('a document that ends too early keeps what was whole', () => {
    const cut = Buffer.from(whole.slice(0, whole.indexOf('<key>List</key>') + 40))
    expect(salvagePlist(cut)).toMatchObject({ Status: 'Fine', UDID: 'u' })
    expect(salvagePlist(Buffer.from(whole.slice(0, whole.indexOf('u</string>'))))).toEqual({
      Status: 'Fine',
      UDID: null,
    })
  })

  test.each([
    ['bytes behind its end', whole + '<plist/>trailing'],
    ['another encoding by its own word', whole.replace('UTF-8', 'EBCDIC')],
    ['no plist element', whole.slice(whole.indexOf('<dict>'))],
    ['another DOCTYPE', whole.replace(/<!DOCTYPE[^>]*>/, '<!DOCTYPE plist [<!ENTITY x "<dict/>">]>')],
  ])('with %s', (_, text) => {
    expect(refusal(() => parsePlist(Buffer.from(text)))?.code).toBe('plist_invalid')
    expect(salvagePlist(Buffer.from(text))).toMatchObject({ Status: 'Fine', List: [{ A: 1 }, { A: 2 }] })
  })

  test('in UTF-16', () => {
    const wide = Buffer.from('\ufeff' + around('<date>never</date>').toString(), 'utf16le')
    expect({ ...salvagePlist(wide) }).toEqual({ ...REST, Odd: null })
    expect({ ...salvagePlist(Buffer.from(wide).swap16()) }).toEqual({ ...REST, Odd: null })
  })

  test('of a key given twice the last value that can be read counts, and no key is more than a key', () => {
    const twice = around('<true/><key>Odd</key><date/><key>__proto__</key><dict/>')
    const salvaged = salvagePlist(twice)
    expect(salvaged?.['Odd']).toBe(true)
    expect(Object.keys(salvaged ?? {})).toContain('__proto__')
  })

  test('nothing is there to be saved where there is no dictionary', () => {
    for (const text of [
      '',
      'nonsense',
      '<plist><array><dict/></array></plist>',
      '<plist><string>x',
      '<dict',
    ]) {
      expect(salvagePlist(Buffer.from(text))).toBeUndefined()
    }
  })
})

test('a binary list gives each of its members that can be read', () => {
  // {Bad: a date that is none, Deep: 70 arrays in each other, Status: "Fine"}
  const objects = [
    Buffer.of(0xd3, 1, 2, 3, 4, 5, 6),
    Buffer.concat([Buffer.of(0x53), Buffer.from('Bad')]),
    Buffer.concat([Buffer.of(0x54), Buffer.from('Deep')]),
    Buffer.concat([Buffer.of(0x56), Buffer.from('Status')]),
    Buffer.concat([Buffer.of(0x33), Buffer.from('7fefffffffffffff', 'hex')]),
    Buffer.of(0xa1, 7),
    Buffer.concat([Buffer.of(0x54), Buffer.from('Fine')]),
    ...Array.from({ length: 70 }, (_, i) => Buffer.of(0xa1, 8 + i)),
    Buffer.of(0x09),
  ]
  const offsets: number[] = []
  let at = 8
  for (const object of objects) {
    offsets.push(at)
    at += object.length
  }
  const trailer = Buffer.alloc(32)
  trailer.set([2, 1], 6)
  trailer.writeBigUInt64BE(BigInt(objects.length), 8)
  trailer.writeBigUInt64BE(BigInt(at), 24)
  const table = Buffer.concat(offsets.map((offset) => Buffer.of(offset >> 8, offset & 0xff)))
  const bytes = Buffer.concat([Buffer.from('bplist00'), ...objects, table, trailer])
  expect(refusal(() => parsePlist(bytes))?.code).toBe('plist_invalid')
  expect(salvagePlist(bytes)).toEqual({ Bad: null, Deep: null, Status: 'Fine' })
  expect(salvagePlist(Buffer.concat([Buffer.from('bplist00'), Buffer.alloc(60, 0xff)]))).toBeUndefined()
})

test('whatever was done to a document, something or nothing comes of it, and what can be read is the same', () => {
  const whole = Buffer.from(
    writePlist({ A: [1, { B: 'c&d' }], D: new Date(0), E: Buffer.from('data'), F: 'text', G: { H: [true] } }),
  )
  expect(salvagePlist(whole)).toEqual(parsePlist(whole))
  const damage = fc.array(
    fc.tuple(fc.nat(whole.length - 1), fc.constantFrom('<', '>', '/', '&', 'k', '\0', '\xff')),
    {
      maxLength: 8,
    },
  )
  fc.assert(
    fc.property(damage, fc.nat(whole.length), (changes, length) => {
      const bytes = Buffer.from(whole.subarray(0, length))
      for (const [at, char] of changes) if (at < length) bytes[at] = char.charCodeAt(0)
      const salvaged = salvagePlist(bytes)
      expect(salvaged === undefined || typeof salvaged === 'object').toBe(true)
    }),
    { numRuns: 300 },
  )
})
