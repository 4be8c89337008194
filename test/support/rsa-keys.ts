import { createPublicKey } from 'node:crypto'
import { OID, algorithm, bitString, integer, nullValue, sequence } from '../../src/protocol/asn1/index.ts'
import { encodeName } from '../../src/protocol/x509/name.ts'
import { testKey } from './keys.ts'

/** The modulus of an honest key of 2048 bits. */
export const MODULUS = numberOf(
  Buffer.from(createPublicKey(testKey('device')).export({ format: 'jwk' }).n ?? '', 'base64url'),
)

/** SubjectPublicKeyInfo of an RSA key that no generator would make. */
export function rsaSpki(modulus: bigint, exponent: bigint): Buffer {
  const key = sequence(integer(bytesOf(modulus)), integer(bytesOf(exponent)))
  return sequence(algorithm(OID.rsaEncryption, nullValue()), bitString(key))
}

/** A certificate request of the right shape around a key, with a signature of zeros. */
export function csrAround(spki: Buffer, signature = Buffer.alloc(256)): Buffer {
  const info = sequence(integer(0), encodeName([['CN', 'x']]), spki, Buffer.from('a000', 'hex'))
  return sequence(info, algorithm(OID.sha256WithRsa, nullValue()), bitString(signature))
}

/** An INTEGER's bytes of a number. */
function bytesOf(value: bigint): Buffer {
  const hex = value.toString(16)
  const even = hex.length % 2 === 0 ? hex : `0${hex}`
  return Buffer.from(/^[89a-f]/.test(even) ? `00${even}` : even, 'hex')
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}
