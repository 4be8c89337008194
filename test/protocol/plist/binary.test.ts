import * as fc from 'fast-check'
import { buildBinary, parseBinary } from 'plist'
import type { PlistValue as ReferenceValue } from 'plist'
import { describe, expect, test } from 'vitest'
import { parsePlist } from '../../../src/protocol/plist/index.ts'
import { refusal } from '../../support/refusal.ts'
import { plain } from './plain.ts'

/** A binary plist of the given objects; offsets are one byte, the first object is the root. */
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
  end[6] = 1
  end[7] = 1
  end.writeBigUInt64BE(BigInt(trailer.count ?? objects.length), 8)
  end.writeBigUInt64BE(BigInt(trailer.root ?? 0), 16)
  end.writeBigUInt64BE(BigInt(length), 24)
  return Buffer.concat([
    Buffer.from('bplist00'),
    ...objects.map((bytes) => Buffer.from(bytes)),
    Buffer.from(offsets),
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
    ['a list that holds itself', binary([[0xa1, 0]]), 'nested deeper than 64'],
    [
      'a dictionary that holds itself',
      binary([
        [0xd1, 1, 0],
        [0x51, 0x61],
      ]),
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

  test('a billion laughs by references ends at the number of values', () => {
    const levels = Array.from({ length: 12 }, (_, i) => [0xaa, ...many(i + 1, 10)])
    expect(refused(binary([...levels, [0x09]]))?.message).toBe('more than 500000 values')
  })

  test('a large text referenced often ends at the number of bytes', () => {
    const small = binary([
      [0xae, ...many(1, 14)],
      [0x5e, ...many(0x61, 14)],
    ])
    expect(refusal(() => parsePlist(small, { maxBytes: 14 * 14 - 1 }))?.message).toBe(
      'expands beyond 195 bytes',
    )
    expect(parsePlist(small, { maxBytes: 14 * 14 })).toHaveLength(14)
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
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 20 }),
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
