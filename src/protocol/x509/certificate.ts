import { hash, type KeyObject } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import {
  TAG,
  asBuffer,
  decodeDer,
  expectTag,
  fieldsOf,
  readOctetBits,
  readInteger,
  readTime,
  refuse,
} from '../asn1/index.ts'
import type { DecodeErrorCode, Element } from '../asn1/index.ts'
import { readSignatureScheme, verifySignatureAside, type SignatureScheme } from './algorithms.ts'
import {
  readAlternativeNames,
  readBasicConstraints,
  readExtendedKeyUsage,
  readExtensions,
  readKeyUsage,
  readSubjectKeyId,
} from './extensions.ts'
import type { AlternativeName, Extensions, KeyUsage } from './extensions.ts'
import { readName, type Name } from './name.ts'
import { readPem } from './pem.ts'
import { publicKeyOf } from './public-key.ts'

const MAX_CERTIFICATE_BYTES = 64 * 1024

/** An X.509 certificate (RFC 5280), read and not yet trusted. */
export interface Certificate {
  readonly der: Buffer
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  /** Lower-case hex without leading zero bytes. */
  readonly serialNumber: string
  /** The content bytes of the serial number's INTEGER. */
  readonly serialBytes: Buffer
  /** The issuer's name as encoded: compared byte for byte. */
  readonly issuerDer: Buffer
  readonly subjectDer: Buffer
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: Date
  readonly notAfter: Date
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer
  readonly isCa: boolean
  readonly pathLength: number | undefined
  /** undefined: not restricted. */
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined
  /** Dotted OIDs; undefined: not restricted. */
  readonly extendedKeyUsage: readonly string[] | undefined
  /** Hex. */
  readonly subjectKeyId: string | undefined
  readonly subjectAltNames: readonly AlternativeName[]
  readonly extensions: Extensions
  /** Made at first use and kept. Refuses key types and sizes that are not supported. */
  publicKey(): KeyObject
  /** Whether this key made the certificate's signature; found out on the thread pool. */
  signedBy(key: KeyObject): Promise<boolean>
}

/**
 * Reads one certificate from DER, or from text or bytes in PEM holding exactly one certificate. Refuses with
 * `AppError(code)`, `x509_invalid` by default.
 */
export function parseCertificate(
  input: Uint8Array | string,
  code: DecodeErrorCode = 'x509_invalid',
): Certificate {
  if (typeof input !== 'string' && input[0] === TAG.sequence) return fromDer(asBuffer(input), code)
  const blocks = readPem(input).filter(({ label }) => label === 'CERTIFICATE')
  const [block] = blocks
  if (block === undefined) throw new AppError(code, 'this is no certificate in DER or PEM')
  if (blocks.length > 1) throw new AppError(code, 'there is more than one certificate')
  return fromDer(block.der, code)
}

/** SHA-256 in lower-case hex, the form of every fingerprint. */
export function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'hex')
}

/** Without the zero bytes at its beginning, one of which shows that a number is positive. */
function withoutZeros(bytes: Buffer): Buffer {
  let start = 0
  while (bytes[start] === 0 && start < bytes.length - 1) start += 1
  return bytes.subarray(start)
}

function fromDer(der: Buffer, code: DecodeErrorCode): Certificate {
  const outer = fieldsOf(decodeDer(der, code, MAX_CERTIFICATE_BYTES), TAG.sequence, 'certificate')
  const tbs = outer.next(TAG.sequence, 'the signed part')
  const outerAlgorithm = outer.next(TAG.sequence, 'signature algorithm')
  const scheme = readSignatureScheme(outerAlgorithm)
  const signature = readOctetBits(outer.any('signature'), 'signature')
  outer.end()
  const body = readBody(tbs)
  if (!body.algorithm.encoded.equals(outerAlgorithm.encoded))
    refuse(tbs, 'two different signature algorithms')
  const { serialBytes, spki } = body
  let key: KeyObject | undefined
  return {
    der,
    fingerprint: fingerprintOf(der),
    serialNumber: withoutZeros(serialBytes).toString('hex'),
    serialBytes,
    issuerDer: body.issuer.encoded,
    subjectDer: body.subject.encoded,
    issuer: readName(body.issuer),
    subject: readName(body.subject),
    notBefore: body.notBefore,
    notAfter: body.notAfter,
    spki,
    ...readKnownExtensions(body.extensions, tbs),
    publicKey: () => (key ??= publicKeyOf(spki, code)),
    signedBy: (issuerKey) => checkSignature(scheme, tbs, issuerKey, signature),
  }
}

async function checkSignature(
  scheme: SignatureScheme,
  tbs: Element,
  key: KeyObject,
  signature: Buffer,
): Promise<boolean> {
  return scheme.hash !== undefined && verifySignatureAside(scheme, scheme.hash, tbs.encoded, key, signature)
}

function readBody(tbs: Element) {
  const fields = fieldsOf(tbs, TAG.sequence, 'certificate')
  const version = fields.optional(TAG.context(0))
  const serialBytes = readInteger(fields.any('serial number'), 'serial number')
  const algorithm = fields.next(TAG.sequence, 'signature algorithm')
  const issuer = fields.next(TAG.sequence, 'issuer')
  const validity = fieldsOf(fields.any('validity'), TAG.sequence, 'validity')
  const notBefore = readTime(validity.any('start'), 'start of validity')
  const notAfter = readTime(validity.any('end'), 'end of validity')
  validity.end()
  const subject = fields.next(TAG.sequence, 'subject')
  const spki = fields.next(TAG.sequence, 'public key').encoded
  fields.optional(TAG.contextPrimitive(1))
  fields.optional(TAG.contextPrimitive(2))
  const extensions = fields.optional(TAG.context(3))
  fields.end()
  if (extensions !== undefined && version === undefined)
    refuse(tbs, 'extensions in a certificate of version 1')
  return { serialBytes, algorithm, issuer, subject, notBefore, notAfter, spki, extensions }
}

function readKnownExtensions(wrapped: Element | undefined, from: Element) {
  const extensions = wrapped === undefined ? new Map() : readExtensions(onlyChild(wrapped))
  const { isCa, pathLength } = readBasicConstraints(extensions, from)
  return {
    isCa,
    pathLength,
    keyUsage: readKeyUsage(extensions, from),
    extendedKeyUsage: readExtendedKeyUsage(extensions, from),
    subjectKeyId: readSubjectKeyId(extensions, from),
    subjectAltNames: readAlternativeNames(extensions, from),
    extensions,
  }
}

function onlyChild(wrapped: Element): Element {
  const fields = fieldsOf(wrapped, wrapped.tag, 'extensions')
  const child = expectTag(fields.any('a list'), TAG.sequence, 'extensions')
  fields.end()
  return child
}
