import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { parseCsr, spkiOf } from '../../../src/protocol/x509/index.ts'
import { testKey } from '../../support/keys.ts'
import { refusal } from '../../support/refusal.ts'
import { csrAround, MODULUS, rsaSpki } from '../../support/rsa-keys.ts'

const problemOf = (spki: Buffer) => refusal(() => parseCsr(csrAround(spki)).publicKey())?.message
/** An odd number of so many bits that no small prime divides, as far as that matters here. */
const modulusOf = (bits: number) => {
  let modulus = (MODULUS << BigInt(Math.max(0, bits - 2048))) >> BigInt(Math.max(0, 2048 - bits))
  modulus |= 1n
  while (problemOf(rsaSpki(modulus, 65_537n))?.includes('modulus') === true) modulus += 2n
  return modulus
}

describe('keys that signatures are checked with', () => {
  test.each([1024, 2048, 3072, 4096])('RSA of %i bits is taken', (bits) => {
    expect(problemOf(rsaSpki(modulusOf(bits), 65_537n))).toBeUndefined()
  })

  test.each([512, 1023, 4097, 8192, 16_384])('RSA of %i bits is not', (bits) => {
    const modulus = (1n << BigInt(bits)) - 1n
    expect(problemOf(rsaSpki(modulus, 65_537n))).toBe(`an RSA key of ${bits} bits is not supported`)
  })

  test.each([65_537n, 65_539n, 0xffff_ffffn])('the exponent %i is taken', (exponent) => {
    expect(problemOf(rsaSpki(MODULUS, exponent))).toBeUndefined()
  })

  test.each([0n, 1n, 2n, 3n, 17n, 65_535n, 65_536n, 65_538n, (1n << 33n) + 1n, MODULUS - 2n, MODULUS + 2n])(
    'the exponent %i is not',
    (exponent) => {
      expect(problemOf(rsaSpki(MODULUS, exponent))).toContain('exponent')
    },
  )

  test('a modulus that is even, has a small factor, or is negative is none', () => {
    expect(problemOf(rsaSpki(MODULUS - 1n, 65_537n))).toContain('modulus')
    for (const prime of [3n, 5n, 251n, 743n])
      expect(problemOf(rsaSpki(((MODULUS / prime) | 1n) * prime, 65_537n))).toContain('modulus')
    const negative = rsaSpki(MODULUS, 65_537n)
    const at = negative.indexOf(Buffer.from('0282010100', 'hex'))
    const shorter = Buffer.concat([
      negative.subarray(0, at),
      Buffer.from('02820100', 'hex'),
      negative.subarray(at + 5),
    ])
    for (const length of [2, 22, 27]) shorter.writeUInt16BE(shorter.readUInt16BE(length) - 1, length)
    expect(problemOf(shorter)).toBeTypeOf('string')
  })

  test.each(['prime256v1', 'secp384r1'])('%s is taken', (namedCurve) => {
    expect(problemOf(spkiOf(generateKeyPairSync('ec', { namedCurve }).publicKey))).toBeUndefined()
  })

  test.each(['secp521r1', 'secp256k1', 'secp224r1', 'brainpoolP512r1'])('%s is not', (namedCurve) => {
    expect(problemOf(spkiOf(generateKeyPairSync('ec', { namedCurve }).publicKey))).toContain('curves')
  })

  test('a curve that spells out its parameters is not', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1', paramEncoding: 'explicit' })
    expect(problemOf(publicKey.export({ format: 'der', type: 'spki' }))).toContain('curves')
  })

  test('other kinds are not', () => {
    for (const kind of ['ed25519', 'ed448', 'x25519'] as const)
      expect(problemOf(spkiOf(generateKeyPairSync(kind as 'ed25519').publicKey))).toContain('not supported')
    expect(problemOf(spkiOf(testKey('device')).subarray(0, 60))).toBeTypeOf('string')
  })
})
