import fc from 'fast-check'
import { fromBER } from 'asn1js'
import { describe, expect, test } from 'vitest'
import {
  TAG,
  berToDer,
  bitString,
  boolean,
  childrenOf,
  context,
  decodeDer,
  fieldsOf,
  integer,
  nullValue,
  octetString,
  oid,
  readBitString,
  readOctetBits,
  readBoolean,
  readInteger,
  readOid,
  readSmallInteger,
  readText,
  readTime,
  sequence,
  setOf,
  time,
  tlv,
  utf8String,
} from '../../../src/protocol/asn1/index.ts'
import { AppError } from '../../../src/kernel/errors.ts'
import { refusal } from '../../support/refusal.ts'

const decode = (hex: string) => decodeDer(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 'cms_invalid')
const reasonOf = (action: () => unknown) => refusal(action)?.message

describe('strict reader', () => {
  test.each([
    ['', 'ends within a header'],
    ['30', 'ends within a header'],
    ['30 80 00 00', 'indefinite length'],
    ['04 81 01 00', 'length is not minimal'],
    ['04 82 00 80', 'length is not minimal'],
    ['04 85 01 00 00 00 00', 'more than four bytes'],
    ['04 84 ff ff ff ff', 'longer than its container'],
    ['04 82 01', 'ends within a length'],
    ['04 02 00', 'longer than its container'],
    ['04 01 00 00', 'bytes after the end'],
    ['1f 81 01 00', 'tag numbers above 30'],
  ])('%s is refused: %s', (hex, reason) => {
    const error = refusal(() => decode(hex))
    expect(error?.code).toBe('cms_invalid')
    expect(error?.message).toContain(reason)
  })

  test('a child may not be longer than its parent', () => {
    expect(reasonOf(() => childrenOf(decode('30 03 04 05 00'), 'x'))).toContain('longer than its container')
  })

  test('nesting ends at 32', () => {
    let nested = nullValue()
    for (let index = 0; index < 40; index++) nested = sequence(nested)
    let element = decodeDer(nested, 'cms_invalid')
    const descend = () => {
      for (;;) element = childrenOf(element, 'x')[0] ?? element
    }
    expect(reasonOf(descend)).toContain('nested more than 32 deep')
  })

  test('size is limited before anything is read', () => {
    expect(reasonOf(() => decodeDer(Buffer.alloc(11), 'x509_invalid', 10))).toContain('more than 10 bytes')
  })

  test('fields must be there, have their tag, and be all', () => {
    const element = decodeDer(sequence(integer(1), boolean(true)), 'csr_invalid')
    expect(reasonOf(() => fieldsOf(element, TAG.set, 'thing'))).toBe('ASN.1: thing has tag 0x30, not 0x31')
    const fields = fieldsOf(element, TAG.sequence, 'thing')
    expect(reasonOf(() => fields.next(TAG.oid, 'name'))).toBe('ASN.1: name has tag 0x2, not 0x6')
    expect(reasonOf(fields.end)).toBe('ASN.1: thing has a field too many')
    expect(fields.optional(TAG.integer)).toBeUndefined()
    expect(readBoolean(fields.any('flag'), 'flag')).toBe(true)
    expect(reasonOf(() => fields.any('more'))).toBe('ASN.1: thing lacks more')
    fields.end()
  })

  test.each([
    ['02 00', readInteger, 'is empty'],
    ['02 02 00 01', readInteger, 'is not minimal'],
    ['02 02 ff 80', readInteger, 'is not minimal'],
    ['02 01 ff', readSmallInteger, 'out of range'],
    ['02 05 01 00 00 00 00', readSmallInteger, 'out of range'],
    ['01 01 01', readBoolean, 'is no BOOLEAN'],
    ['06 00', readOid, 'is no OID'],
    ['06 01 80', readOid, 'is no OID'],
    ['06 03 2a 80 01', readOid, 'is not minimal'],
    ['06 0a 2a ff ff ff ff ff ff ff ff 7f', readOid, 'arc too large'],
    ['03 00', readBitString, 'is no BIT STRING'],
    ['03 01 01', readBitString, 'is no BIT STRING'],
    ['03 02 01 01', readBitString, 'is no BIT STRING'],
    ['03 02 01 02', readOctetBits, 'is not made of whole octets'],
    ['0c 01 ff', readText, 'is not UTF-8'],
    ['02 01 01', readText, 'is no character string'],
    ['17 0b 32 36 30 31 30 31 30 30 30 30 5a', readTime, 'is no time in UTC'],
    ['17 0d 32 36 31 33 30 31 30 30 30 30 30 30 5a', readTime, 'is no date'],
  ] as const)('the value %s is refused', (hex, read, reason) => {
    expect(reasonOf(() => read(decode(hex), 'value'))).toContain(reason)
  })

  test('random bytes are read or refused, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(refusal(() => walk(bytes))?.code ?? 'cms_invalid').toBe('cms_invalid')
      }),
      { numRuns: 2000 },
    )
  })
})

function walk(bytes: Uint8Array): void {
  const stack = [decodeDer(bytes, 'cms_invalid')]
  for (let element = stack.pop(); element !== undefined; element = stack.pop()) {
    if ((element.tag & 0x20) !== 0) stack.push(...childrenOf(element, 'x'))
  }
}

describe('writer', () => {
  test.each([
    [0, '0400'],
    [0x7f, '047f'],
    [0x80, '048180'],
    [0xff, '0481ff'],
    [0x100, '04820100'],
    [0xffff, '0482ffff'],
    [0x10000, '0483010000'],
  ])('%i bytes in two parts have the header %s', (length, header) => {
    const bytes = Buffer.alloc(length, 7)
    const [before, after] = [bytes.subarray(0, length >> 1), bytes.subarray(length >> 1)]
    expect(tlv(TAG.octetString, before, after)).toEqual(Buffer.concat([Buffer.from(header, 'hex'), bytes]))
  })

  test('what it writes is read back, and by asn1js too', () => {
    const arcs = fc.array(fc.nat(), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        arcs,
        fc.nat(),
        fc.uint8Array({ maxLength: 400 }),
        fc.string({ unit: 'grapheme' }),
        (a, n, b, s) => {
          const name = `1.2.${a.join('.')}`
          const der = sequence(
            oid(name),
            integer(n),
            octetString(b),
            utf8String(s),
            bitString(b),
            setOf(octetString(b)),
          )
          const fields = fieldsOf(decodeDer(der, 'cms_invalid'), TAG.sequence, 'x')
          expect(readOid(fields.any('a'), 'a')).toBe(name)
          expect(BigInt(`0x${readInteger(fields.any('n'), 'n').toString('hex')}`)).toBe(BigInt(n))
          expect(fields.next(TAG.octetString, 'b').content).toEqual(Buffer.from(b))
          expect(readText(fields.any('s'), 's')).toBe(s)
          expect(readBitString(fields.any('bits'), 'bits')).toEqual(Buffer.from(b))
          const { offset } = fromBER(new Uint8Array(der))
          expect(offset).toBe(der.length)
        },
      ),
      { numRuns: 200 },
    )
  })

  test.each([0, 1, 127, 128, 255, 256, 65_535, 0x7fffffff])('the integer %i', (value) => {
    expect(readSmallInteger(decodeDer(integer(value), 'cms_invalid'), 'value')).toBe(value)
  })

  test.each(['1950-01-01T00:00:00Z', '2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z', '2126-07-01T12:30:00Z'])(
    'the time %s',
    (text) => {
      const encoded = decodeDer(time(new Date(text)), 'x509_invalid')
      expect(encoded.tag).toBe(text < '2050' ? TAG.utcTime : TAG.generalizedTime)
      expect(readTime(encoded, 'time')).toEqual(new Date(text))
    },
  )
})

describe('BER reader', () => {
  const hexOf = (hex: string) =>
    berToDer(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 'scep_invalid').toString('hex')

  test.each([
    ['30 80 02 01 01 00 00', '3003020101'],
    ['24 80 04 01 61 04 01 62 00 00', '04026162'],
    ['24 06 04 01 61 04 01 62', '04026162'],
    ['24 80 24 80 04 01 61 00 00 04 01 62 00 00', '04026162'],
    ['04 81 01 61', '040161'],
    ['a0 80 04 01 61 00 00', 'a003040161'],
  ])('%s becomes %s', (ber, der) => {
    expect(hexOf(ber)).toBe(der)
  })

  test.each([
    ['30 80 02 01 01', 'without its end'],
    ['30 80 02 01 01 00', 'without its end'],
    ['04 80 00 00', 'indefinite length of a primitive value'],
    ['24 80 02 01 01 00 00', 'a piece of another type'],
    ['30 03 02 05 01', 'longer than its container'],
    ['30 02 00 00', 'end of contents'],
    ['30 80 00 00 00', 'bytes after the end'],
    ['04 01 00 04 01 00', 'bytes after the end'],
    ['30 03 04 01 00 30 00', 'bytes after the end'],
    ['02 01', 'longer than its container'],
    ['02 84 00 00', 'ends within a length'],
    ['30 80 '.repeat(40), 'nested more than 32 deep'],
  ])('%s is refused', (ber, reason) => {
    const error = refusal(() => hexOf(ber))
    expect(error?.code).toBe('scep_invalid')
    expect(error?.message).toContain(reason)
  })

  test('too many values are refused', () => {
    expect(reasonOf(() => berToDer(tlv(0x30, Buffer.alloc(50_000, '0500', 'hex')), 'cms_invalid'))).toContain(
      'more than 20000 values',
    )
  })

  test('DER stays as it is, and random bytes give DER or a refusal', () => {
    const der = sequence(integer(5), context(0, octetString(Buffer.alloc(300))), setOf(nullValue()))
    expect(berToDer(der, 'cms_invalid')).toEqual(der)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          walk(berToDer(bytes, 'cms_invalid'))
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
