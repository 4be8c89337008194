import type { KeyObject } from 'node:crypto'
import {
  OID,
  TAG,
  bitString,
  childrenOf,
  context,
  decodeDer,
  fieldsOf,
  integer,
  oid,
  printableString,
  readOctetBits,
  readOid,
  readSmallInteger,
  readText,
  refuse,
  sequence,
  setOf,
  utf8String,
} from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'
import { findSignatureScheme, sign, signatureAlgorithm, verifySignature } from './algorithms.ts'
import type { HashName } from './algorithms.ts'
import type { Certificate } from './certificate.ts'
import { encodeAlternativeNames, encodeExtension, encodeKeyUsage, readExtensions } from './extensions.ts'
import type { AlternativeName, Extensions, KeyUsage } from './extensions.ts'
import { spkiOf } from './keys.ts'
import { encodeName, readName, type Name, type NameInput } from './name.ts'
import { publicKeyOf } from './public-key.ts'

const MAX_CSR_BYTES = 64 * 1024

/** A certification request, PKCS#10 (RFC 2986). */
export interface CertificateRequest {
  readonly der: Buffer
  readonly subject: Name
  readonly subjectDer: Buffer
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer
  /** Refuses `csr_invalid` for keys that are not taken (see `publicKeyOf`). */
  publicKey(): KeyObject
  readonly challengePassword: string | undefined
  readonly extensionRequest: Extensions | undefined
  /** False for a digest or an algorithm that is not taken, such as MD5; the signature is then not verified. */
  readonly isSignatureSupported: boolean
  /** Whether the request is signed with its own key. Refuses as `publicKey` does. */
  verify(): boolean
}

/**
 * Reads a PKCS#10 request. Refuses `csr_invalid`; its signature is checked by `verify()` alone. When its key is that of
 * `signer`, whose signature was found right, the key object is shared, as it takes longer to make one than to verify with it.
 */
export function parseCsr(
  der: Uint8Array,
  signer?: Pick<Certificate, 'spki' | 'publicKey'>,
): CertificateRequest {
  const root = decodeDer(der, 'csr_invalid', MAX_CSR_BYTES)
  const outer = fieldsOf(root, TAG.sequence, 'request')
  const info = outer.next(TAG.sequence, 'request information')
  const scheme = findSignatureScheme(outer.any('signature algorithm'))
  const signature = readOctetBits(outer.any('signature'), 'signature')
  outer.end()
  const fields = fieldsOf(info, TAG.sequence, 'request information')
  if (readSmallInteger(fields.any('version'), 'version') !== 0)
    refuse(info, 'the version of the request is not 1')
  const subject = fields.next(TAG.sequence, 'subject')
  const spki = fields.next(TAG.sequence, 'public key').encoded
  const attributes = readAttributes(fields.optional(TAG.context(0)))
  fields.end()
  let key: KeyObject | undefined
  const publicKey = () =>
    (key ??= signer?.spki.equals(spki) ? signer.publicKey() : publicKeyOf(spki, 'csr_invalid'))
  const challenge = attributes.get(OID.challengePassword)
  const extensions = attributes.get(OID.extensionRequest)
  return {
    der: root.encoded,
    subject: readName(subject),
    subjectDer: subject.encoded,
    spki,
    publicKey,
    challengePassword: challenge && readText(challenge, 'challenge password'),
    extensionRequest: extensions && readExtensions(extensions),
    isSignatureSupported: scheme !== undefined,
    verify: () =>
      scheme?.hash !== undefined &&
      verifySignature(scheme, scheme.hash, info.encoded, publicKey(), signature),
  }
}

/** Makes a PKCS#10 request for the public half of `key`, signed with it. */
export async function createCsr(options: {
  subject: NameInput
  key: KeyObject
  challengePassword?: string
  keyUsage?: readonly KeyUsage[]
  subjectAltNames?: readonly AlternativeName[]
  hash?: HashName
}): Promise<Buffer> {
  const { subject, key, hash = 'sha256' } = options
  const info = sequence(
    integer(0),
    encodeName(subject),
    spkiOf(key),
    context(0, ...encodeAttributes(options)),
  )
  return sequence(info, signatureAlgorithm(key, hash), bitString(await sign(key, hash, info)))
}

function encodeAttributes(options: {
  challengePassword?: string
  keyUsage?: readonly KeyUsage[]
  subjectAltNames?: readonly AlternativeName[]
}): Buffer[] {
  const { challengePassword, keyUsage, subjectAltNames = [] } = options
  const attributes: Buffer[] = []
  if (challengePassword !== undefined) {
    const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(challengePassword)
    const value = printable ? printableString(challengePassword) : utf8String(challengePassword)
    attributes.push(sequence(oid(OID.challengePassword), setOf(value)))
  }
  const extensions: Buffer[] = []
  if (keyUsage !== undefined) extensions.push(encodeExtension(OID.keyUsage, true, encodeKeyUsage(keyUsage)))
  if (subjectAltNames.length > 0) {
    extensions.push(encodeExtension(OID.subjectAltName, false, encodeAlternativeNames(subjectAltNames)))
  }
  if (extensions.length > 0)
    attributes.push(sequence(oid(OID.extensionRequest), setOf(sequence(...extensions))))
  return attributes
}

function readAttributes(element: Element | undefined): Map<string, Element> {
  const attributes = new Map<string, Element>()
  if (element === undefined) return attributes
  for (const attribute of childrenOf(element, 'attributes')) {
    const fields = fieldsOf(attribute, TAG.sequence, 'attribute')
    const type = readOid(fields.any('type'), 'attribute type')
    const values = fieldsOf(fields.any('values'), TAG.set, 'attribute values')
    fields.end()
    if (attributes.has(type)) refuse(element, `attribute ${type} is there twice`)
    attributes.set(type, values.any('a value'))
    if (type === OID.challengePassword || type === OID.extensionRequest) values.end()
  }
  return attributes
}
