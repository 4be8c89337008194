import * as fc from 'fast-check'
import { buildBinary, parseBinary } from 'plist'
import type { PlistValue as ReferenceValue } from 'plist'
import { describe, expect, test } from 'vitest'
import { toJson } from '../../../src/protocol/mdm/index.ts'
import { parsePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { plain } from './plain.ts'

/** A binary plist of the given objects; offsets are one byte where that is enough, the first object is the root. */
function binary(
  objects: readonly (readonly number[])[],
  trailer: Partial<Record<'root' | 'count', number>> = {},
) {
  const offsets: number[] = []
  let length = 8
  for (const object of objects) {
    offsets.push(length)
    length += object.length
  }
  const end = Buffer.alloc(32)
  const width = length < 256 ? 1 : 2
  end[6] = width
  end[7] = 1
  end.writeBigUInt64BE(BigInt(trailer.count ?? objects.length), 8)
  end.writeBigUInt64BE(BigInt(trailer.root ?? 0), 16)
  end.writeBigUInt64BE(BigInt(length), 24)
  return Buffer.concat([
    Buffer.from('bplist00'),
    ...objects.map((bytes) => Buffer.from(bytes)),
    Buffer.from(offsets.flatMap((offset) => (width === 1 ? [offset] : [offset >> 8, offset & 0xff]))),
    end,
  ])
}

const refused = (bytes: Uint8Array) => refusal(() => parsePlist(bytes))

const many = (byte: number, count: number) => Array<number>(count).fill(byte)

const double = (marker: number, value: number) => {
  const bytes = Buffer.alloc(9, marker)
  bytes.writeDoubleBE(value, 1)
  return [...bytes]
}

describe('values', () => {
  test.each<[string, readonly number[], unknown]>([
    ['false', [0x08], false],
    ['true', [0x09], true],
    ['one byte, unsigned', [0x10, 0xff], 255],
    ['four bytes, unsigned', [0x12, 0xff, 0xff, 0xff, 0xff], 0xffffffff],
    ['eight bytes, signed', [0x13, ...Array<number>(8).fill(0xff)], -1],
    ['eight bytes beyond the safe range', [0x13, 0x7f, ...Array<number>(7).fill(0xff)], 2n ** 63n - 1n],
    ['sixteen bytes', [0x14, ...Array<number>(8).fill(0), ...Array<number>(8).fill(0xff)], 2n ** 64n - 1n],
    ['float', [0x22, 0x3f, 0xc0, 0, 0], 1.5],
    ['double', double(0x23, -2.25), -2.25],
    ['date', double(0x33, 0), new Date('2001-01-01T00:00:00Z')],
    ['data', [0x42, 1, 2], Buffer.from([1, 2])],
    ['ASCII', [0x52, 0x61, 0x62], 'ab'],
    ['UTF-16', [0x62, 0xd8, 0x3d, 0xde, 0x00], '😀'],
    ['a length behind the marker', [0x5f, 0x10, 0x01, 0x61], 'a'],
    ['an empty array', [0xa0], []],
  ])('%s', (_, object, expected) => {
    expect(parsePlist(binary([object]))).toEqual(expected)
  })

  test('a dictionary has no prototype and takes any key', () => {
    const proto = [0x59, ...Buffer.from('__proto__')]
    const dict = parsePlist(binary([[0xd1, 1, 2], proto, [0xd0]]))
    expect(Object.keys(dict)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(dict)).toBeNull()
  })
})

describe('refusals', () => {
  test.each<[string, Uint8Array, string]>([
    ['another version', Buffer.concat([Buffer.from('bplist15'), Buffer.alloc(40)]), 'unknown version'],
    ['nothing but a magic', Buffer.from('bplist00'), 'ends too early'],
    ['a trailer of zeros', Buffer.concat([Buffer.from('bplist00'), Buffer.alloc(40)]), 'bad trailer'],
    ['trailing bytes', Buffer.concat([binary([[0x09]]), Buffer.from([0])]), 'bad trailer'],
    ['a huge count', binary([[0x09]], { count: 2 ** 53 }), 'bad trailer'],
    ['a root that is none', binary([[0x09]], { root: 1 }), 'reference 1 to no object'],
    ['a reference to nothing', binary([[0xa1, 9]]), 'reference 9 to no object'],
    ['null', binary([[0x00]]), 'unsupported object type 0x0'],
    ['a fill byte', binary([[0x0f]]), 'unsupported object type 0xf'],
    ['a UID', binary([[0x80, 1]]), 'unsupported object type 0x80'],
    ['a set', binary([[0xc1, 1], [0x09]]), 'unsupported object type 0xc1'],
    ['an integer of 32 bytes', binary([[0x15, ...many(0, 32)]]), 'unsupported object type 0x15'],
    ['an integer beyond 64 bits', binary([[0x14, 1, ...many(0, 15)]]), 'integer out of range'],
    ['a date that is none', binary([double(0x33, NaN)]), 'not a date'],
    [
      'a text that is longer than the document',
      binary([[0x5f, 0x10, 0xff, 0x61]]),
      'longer than the document',
    ],
    ['a length beyond any number', binary([[0x4f, 0x13, ...many(0xff, 8)]]), 'longer than the document'],
    [
      'a list that is longer than the document',
      binary([[0xaf, 0x12, ...many(0x7f, 4)]]),
      'longer than the document',
    ],
    ['a length that is no integer', binary([[0x5f, 0x61, 0x62]]), 'bad length'],
    ['an integer that is cut off', binary([[0x13, 1]]), 'longer than the document'],
    ['a byte beyond ASCII', binary([[0x51, 0xe9]]), 'not valid ASCII'],
    ['half a surrogate pair', binary([[0x61, 0xd8, 0x00]]), 'not valid UTF-16'],
    ['a key that is no string', binary([[0xd1, 1, 1], [0x09]]), 'a key that is no string'],
    ['a list that holds itself', binary([[0xa1, 0]]), 'more than 43 values'],
    [
      'a dictionary that holds itself',
      binary([
        [0xd1, 1, 0],
        [0x51, 0x61],
      ]),
      'more than 47 values',
    ],
    [
      'more levels than any message has',
      binary([...Array.from({ length: 64 }, (_, i) => [0xa1, i + 1]), [0xa0]]),
      'nested deeper than 64',
    ],
  ])('%s', (_, bytes, reason) => {
    expect(refused(bytes)).toMatchObject({ code: 'plist_invalid', message: expect.stringContaining(reason) })
  })

  test('an object whose offset lies in the trailer', () => {
    const bytes = binary([[0xa1, 1], [0x09]])
    bytes.writeUInt8(bytes.length - 1, bytes.length - 33)
    expect(refused(bytes)?.message).toBe('object 1 lies outside')
  })

  test.each([
    ['twelve lists that name the next ten times', 12, 10],
    ['twenty lists that name the next twice', 20, 2],
    ['sixty lists that name the next twice', 60, 2],
  ])('a billion laughs by references ends at the number of bytes: %s', (_, depth, width) => {
    const levels = Array.from({ length: depth }, (__, i) => [0xa0 + width, ...many(i + 1, width)])
    const document = binary([...levels, [0x09]])
    expect(refused(document)?.message).toBe(`more than ${document.length} values`)
  })

  test('the same of dictionaries, whose keys are shared too', () => {
    const levels = Array.from({ length: 20 }, (_, i) => [0xd2, 21, 22, i + 1, i + 1])
    const document = binary([...levels, [0x09], [0x51, 0x61], [0x51, 0x62]])
    expect(refused(document)?.message).toBe(`more than ${document.length} values`)
  })

  test.each<[string, readonly number[]]>([
    ['a text', [0x5f, 0x11, 0x03, 0xe8, ...many(0x61, 1000)]],
    ['a text of control characters', [0x5f, 0x10, 0xc8, ...many(0x01, 200)]],
    ['a wide text', [0x6f, 0x10, 0xc8, ...many(0x4e, 400)]],
    ['data', [0x4f, 0x11, 0x03, 0xe8, ...many(0x61, 1000)]],
    ['a date', double(0x33, 0.5)],
    ['a number', double(0x23, -1e-300 / 3)],
    ['a large integer', [0x14, ...many(0, 8), ...many(0xff, 8)]],
  ])('%s that is referenced 5,000 times makes no more than 16 times the document', (_, object) => {
    const document = binary([[0xaf, 0x11, 0x13, 0x88, ...many(1, 5000)], object])
    expect(refused(document)?.message).toBe(`expands beyond ${document.length * 16} bytes`)
  })

  test('a long key shared by many is counted as often', () => {
    const key = [0x5f, 0x10, 0xff, ...many(0x61, 255)]
    const dicts = Array.from({ length: 200 }, () => [0xd1, 1, 2])
    const document = binary([[0xaf, 0x10, 200, ...dicts.map((__, i) => i + 3)], key, [0x09], ...dicts])
    expect(refused(document)?.message).toBe(`expands beyond ${document.length * 16} bytes`)
  })

  test('objects that lie on the same bytes are counted each', () => {
    const text = [0x5f, 0x10, 0x80, ...many(0x61, 128)]
    const refs = Array.from({ length: 64 }, (_, i) => i + 1)
    const document = binary([[0xaf, 0x10, refs.length, ...refs], text, ...refs.slice(1).map(() => [])])
    const table = Number(document.readBigUInt64BE(document.length - 8))
    document.fill(document.readUInt8(table + 1), table + 1, table + 1 + refs.length)
    expect(refused(document)?.message).toBe(`expands beyond ${document.length * 16} bytes`)
  })

  test('a list of devices’ apps, whose keys are shared, is far from the bounds', () => {
    const app = (i: number) => ({
      Identifier: `com.example.app${i}`,
      Installing: false,
      AdHocCodeSigned: false,
      AppStoreVendable: true,
      BetaApp: false,
      DeviceBasedVPP: true,
      HasUpdateAvailable: false,
      IsValidated: true,
    })
    const list = { InstalledApplicationList: Array.from({ length: 3000 }, (_, i) => app(i)) }
    expect(parsePlist(buildBinary(list))).toEqual(list)
  })

  test('whatever refers to whatever, as JSON it is at most twenty times its document', () => {
    const object = fc.oneof(
      fc.array(fc.nat(15), { maxLength: 15 }).map((refs) => [0xa0 + refs.length, ...refs]),
      fc
        .array(fc.tuple(fc.nat(15), fc.nat(15)), { maxLength: 14 })
        .map((pairs) => [
          0xd0 + pairs.length,
          ...pairs.map(([key]) => key),
          ...pairs.map(([, value]) => value),
        ]),
      fc.integer({ min: 0, max: 14 }).map((length) => [0x50 + length, ...many(0x01, length)]),
      fc.constantFrom<number[]>([0x09], [0x10, 1], double(0x33, 0), double(0x23, -1e-300 / 3), [0x42, 1, 2]),
    )
    fc.assert(
      fc.property(fc.array(object, { minLength: 16, maxLength: 16 }), (objects) => {
        const document = binary(objects)
        try {
          expect(JSON.stringify(toJson(parsePlist(document))).length).toBeLessThan(document.length * 20)
        } catch (error) {
          expect(error).toMatchObject({ code: 'plist_invalid' })
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('a large text referenced often ends at the number of bytes', () => {
    const small = binary([
      [0xae, ...many(1, 14)],
      [0x5e, ...many(0x61, 14)],
    ])
    expect(refusal(() => parsePlist(small, { maxBytes: 14 * 16 - 1 }))?.message).toBe(
      'expands beyond 223 bytes',
    )
    expect(parsePlist(small, { maxBytes: 14 * 16 })).toHaveLength(14)
  })

  test('cut off at any byte, and any byte changed: refused or read, never another error', () => {
    const whole = Buffer.from(
      buildBinary({ a: [1, 2.5, true, 'text', 'é漢', new Date(0)], b: { data: Buffer.alloc(20, 1) } }),
    )
    expect(parsePlist(whole)).toMatchObject({ a: [1, 2.5, true, 'text', 'é漢', new Date(0)] })
    for (let length = 6; length < whole.length; length++) {
      expect(refused(whole.subarray(0, length))?.code).toBe('plist_invalid')
    }
    for (let i = 8; i < whole.length; i++) {
      for (const byte of [0x00, 0x01, 0x7f, 0x80, 0xff, 0xaf, 0xdf]) {
        const changed = Buffer.from(whole)
        changed[i] = byte
        refused(changed)
      }
    }
  })
})

test('what the plist package writes is read alike by both', () => {
  const { value } = fc.letrec<{ value: ReferenceValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.integer(),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.uint8Array({ maxLength: 40 }),
      fc.array(tie('value'), { maxLength: 20 }),
      // The package drops this key.
      fc.dictionary(
        fc.string().filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 20 },
      ),
    ),
  }))
  fc.assert(
    fc.property(value, (input) => {
      const bytes = buildBinary(input)
      expect(plain(parsePlist(bytes))).toEqual(plain(parseBinary(bytes)))
    }),
    { numRuns: 200 },
  )
})
