import { constants, sign as signWith, verify, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import {
  OID,
  algorithm,
  fieldsOf,
  nullValue,
  readAlgorithm,
  readSmallInteger,
  refuse,
  TAG,
} from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'
import { MAX_RSA_BITS } from './public-key.ts'

/** Digests by the names of node:crypto. */
export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** How a signature is made. `hash` is missing where the identifier does not say it (rsaEncryption, ecPublicKey). */
export interface SignatureScheme {
  readonly kind: 'rsa' | 'rsa-pss' | 'ec'
  readonly hash: HashName | undefined
  readonly saltLength?: number
}

const HASHES: Record<string, HashName> = {
  [OID.sha1]: 'sha1',
  [OID.sha256]: 'sha256',
  [OID.sha384]: 'sha384',
  [OID.sha512]: 'sha512',
}

const SCHEMES: Record<string, SignatureScheme> = {
  [OID.rsaEncryption]: { kind: 'rsa', hash: undefined },
  [OID.sha1WithRsa]: { kind: 'rsa', hash: 'sha1' },
  [OID.sha256WithRsa]: { kind: 'rsa', hash: 'sha256' },
  [OID.sha384WithRsa]: { kind: 'rsa', hash: 'sha384' },
  [OID.sha512WithRsa]: { kind: 'rsa', hash: 'sha512' },
  [OID.ecPublicKey]: { kind: 'ec', hash: undefined },
  [OID.ecdsaWithSha1]: { kind: 'ec', hash: 'sha1' },
  [OID.ecdsaWithSha256]: { kind: 'ec', hash: 'sha256' },
  [OID.ecdsaWithSha384]: { kind: 'ec', hash: 'sha384' },
  [OID.ecdsaWithSha512]: { kind: 'ec', hash: 'sha512' },
}

const signAsync = promisify<string, Uint8Array, KeyObject, Buffer>(
  (hash: string, data: Uint8Array, key: KeyObject, done: (error: Error | null, signature: Buffer) => void) =>
    signWith(hash, data, key, done),
)

type VerifyKey = KeyObject | { key: KeyObject; padding: number; saltLength: number }

const verifyAsync = promisify<string, Uint8Array, VerifyKey, Uint8Array, boolean>(
  (hash, data, key, signature, done) => verify(hash, data, key, signature, done),
)

/** Reads the AlgorithmIdentifier of a digest. */
export function readHash(element: Element, what: string): HashName {
  return (
    findHash(element, what) ?? refuse(element, `${what} ${readAlgorithm(element, what).oid} is not supported`)
  )
}

/** The same, undefined for one that is not supported. */
export function findHash(element: Element, what: string): HashName | undefined {
  return HASHES[readAlgorithm(element, what).oid]
}

/** The AlgorithmIdentifier of a digest. */
export function hashAlgorithm(hash: HashName): Buffer {
  return algorithm(OID[hash], nullValue())
}

/** Reads the AlgorithmIdentifier of a signature (RFC 4055, RFC 5758, RFC 5754). */
export function readSignatureScheme(element: Element): SignatureScheme {
  const found = findSignatureScheme(element)
  if (found !== undefined) return found
  const { oid } = readAlgorithm(element, 'signature algorithm')
  return refuse(element, `signature algorithm ${oid} is not supported`)
}

/** The same, undefined for one that is not supported. */
export function findSignatureScheme(element: Element): SignatureScheme | undefined {
  const { oid, parameters } = readAlgorithm(element, 'signature algorithm')
  if (oid === OID.rsassaPss) return readPss(element, parameters)
  const scheme = SCHEMES[oid]
  // RFC 4055, section 5: NULL, and absent is to be taken too. No signature covers what stands here.
  if (scheme?.kind === 'rsa' && parameters !== undefined)
    return refuse(element, `the parameters of signature algorithm ${oid} are not NULL`)
  return scheme
}

/** Verifies a signature over data; false too when key and scheme do not fit. */
export function verifySignature(
  scheme: SignatureScheme,
  hash: HashName,
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): boolean {
  const verifyKey = keyFor(scheme, key)
  return verifyKey !== undefined && verify(hash, data, verifyKey, signature)
}

/** The same on the thread pool. */
export async function verifySignatureAside(
  scheme: SignatureScheme,
  hash: HashName,
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): Promise<boolean> {
  const verifyKey = keyFor(scheme, key)
  return verifyKey !== undefined && verifyAsync(hash, data, verifyKey, signature)
}

/** The key for Node's `verify`, with what the scheme says of it; undefined when the two do not fit. */
export function keyFor(scheme: SignatureScheme, key: KeyObject): VerifyKey | undefined {
  const type = key.asymmetricKeyType
  if (scheme.kind !== 'rsa-pss') return type === scheme.kind ? key : undefined
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const saltLength = scheme.saltLength ?? 20
  return type === 'rsa' || type === 'rsa-pss' ? { key, padding, saltLength } : undefined
}

/** The AlgorithmIdentifier of the signatures that `sign` makes with this key. */
export function signatureAlgorithm(key: KeyObject, hash: HashName): Buffer {
  const prefix = key.asymmetricKeyType === 'ec' ? 'ecdsaWith' : 'With'
  if (prefix === 'ecdsaWith') return algorithm(ECDSA[hash])
  return algorithm(RSA[hash], nullValue())
}

const RSA: Record<HashName, string> = {
  sha1: OID.sha1WithRsa,
  sha256: OID.sha256WithRsa,
  sha384: OID.sha384WithRsa,
  sha512: OID.sha512WithRsa,
}

const ECDSA: Record<HashName, string> = {
  sha1: OID.ecdsaWithSha1,
  sha256: OID.ecdsaWithSha256,
  sha384: OID.ecdsaWithSha384,
  sha512: OID.ecdsaWithSha512,
}

/** Signs on the thread pool: RSA with PKCS#1 v1.5 padding, or ECDSA. */
export async function sign(key: KeyObject, hash: HashName, data: Uint8Array): Promise<Buffer> {
  return signAsync(hash, data, key)
}

function readPss(element: Element, parameters: Element | undefined): SignatureScheme {
  if (parameters === undefined) return refuse(element, 'RSA-PSS without parameters')
  const fields = fieldsOf(parameters, TAG.sequence, 'RSA-PSS parameters')
  const hashField = fields.optional(TAG.context(0))
  const maskField = fields.optional(TAG.context(1))
  const saltField = fields.optional(TAG.context(2))
  fields.optional(TAG.context(3))
  fields.end()
  const inside = (field: Element): Element => fieldsOf(field, field.tag, 'RSA-PSS parameter').any('a value')
  const hash = hashField === undefined ? 'sha1' : readHash(inside(hashField), 'RSA-PSS digest')
  if (readMaskHash(maskField && inside(maskField)) !== hash)
    refuse(element, 'RSA-PSS with two different digests')
  const saltLength = saltField === undefined ? 20 : readSmallInteger(inside(saltField), 'RSA-PSS salt length')
  if (saltLength > MAX_RSA_BITS / 8) refuse(element, 'RSA-PSS salt length is out of range')
  return { kind: 'rsa-pss', hash, saltLength }
}

function readMaskHash(mask: Element | undefined): HashName {
  if (mask === undefined) return 'sha1'
  const { oid, parameters } = readAlgorithm(mask, 'mask generation')
  if (oid !== OID.mgf1 || parameters === undefined)
    return refuse(mask, `mask generation ${oid} is not supported`)
  return readHash(parameters, 'mask digest')
}
