import { createPublicKey, type KeyObject } from 'node:crypto'
import {
  OID,
  TAG,
  decodeDer,
  fieldsOf,
  readAlgorithm,
  readInteger,
  readOctetBits,
  readOid,
} from '../asn1/index.ts'
import type { DecodeErrorCode, Element } from '../asn1/index.ts'
import { AppError } from '../../kernel/errors.ts'

/** Bits of RSA keys that signatures are checked with; older devices of Apple have certificates of 1024. */
const MIN_KNOWN_RSA_BITS = 1024
export const MAX_RSA_BITS = 4096
const MIN_EXPONENT = 65_537n
/** A public key is chosen by who sends it, and the time of a check grows with the exponent's length. */
const MAX_EXPONENT = 2n ** 33n
const CURVES: ReadonlySet<string> = new Set([OID.p256, OID.p384])
/** An honest modulus has no factor below this (NIST SP 800-89, section 5.3.3). */
const SMALL_FACTORS = 752
const SMALL_PRIMES = primesInGroups(SMALL_FACTORS)

/**
 * The key of a SubjectPublicKeyInfo, which a stranger may have chosen: the one place that says which keys are taken. RSA of
 * 1024 to 4096 bits with an odd exponent from 65537 on and a modulus that can be one, P-256 and P-384. It is judged before it
 * is made, as that alone may take long. Refuses with `code`.
 */
export function publicKeyOf(spki: Buffer, code: DecodeErrorCode): KeyObject {
  const problem = problemOf(spki, code)
  if (problem !== undefined) throw new AppError(code, problem)
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw new AppError(code, 'the public key cannot be read', { cause: error })
  }
}

function problemOf(spki: Buffer, code: DecodeErrorCode): string | undefined {
  const fields = fieldsOf(decodeDer(spki, code), TAG.sequence, 'public key')
  const { oid, parameters } = readAlgorithm(fields.any('algorithm'), 'key algorithm')
  const bits = readOctetBits(fields.any('key'), 'public key')
  fields.end()
  if (oid === OID.rsaEncryption || oid === OID.rsassaPss) return rsaProblem(decodeDer(bits, code))
  if (oid !== OID.ecPublicKey) return `public keys of type ${oid} are not supported`
  const isKnown = parameters?.tag === TAG.oid && CURVES.has(readOid(parameters, 'curve'))
  return isKnown ? undefined : 'of elliptic curves only P-256 and P-384 are supported'
}

function rsaProblem(key: Element): string | undefined {
  const fields = fieldsOf(key, TAG.sequence, 'RSA key')
  const modulus = readNumber(fields.any('modulus'), 'modulus')
  const exponent = readNumber(fields.any('exponent'), 'exponent')
  fields.end()
  const bits = modulus.toString(2).length
  if (modulus < 0n || bits < MIN_KNOWN_RSA_BITS || bits > MAX_RSA_BITS)
    return `an RSA key of ${bits} bits is not supported`
  if (exponent < MIN_EXPONENT || exponent > MAX_EXPONENT || exponent % 2n === 0n)
    return 'an RSA key with this exponent is not supported: it must be odd, from 65537 on'
  return hasSmallFactor(modulus) ? 'the modulus of the RSA key is none' : undefined
}

function hasSmallFactor(modulus: bigint): boolean {
  return SMALL_PRIMES.some(({ product, primes }) => {
    const rest = Number(modulus % product)
    return primes.some((prime) => rest % prime === 0)
  })
}

function readNumber(element: Element, what: string): bigint {
  const bytes = readInteger(element, what)
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
}

/** Primes in groups whose product is exact as a number, so that a long division is made once a group. */
function primesInGroups(below: number): { product: bigint; primes: number[] }[] {
  const groups: { product: bigint; primes: number[] }[] = []
  for (let prime = 2; prime < below; prime++) {
    if (groups.some(({ primes }) => primes.some((known) => prime % known === 0))) continue
    const last = groups.at(-1)
    if (last === undefined || last.product * BigInt(prime) > Number.MAX_SAFE_INTEGER)
      groups.push({ product: BigInt(prime), primes: [prime] })
    else {
      last.product *= BigInt(prime)
      last.primes.push(prime)
    }
  }
  return groups
}
