import { hash as digestOf, randomBytes, type KeyObject } from 'node:crypto'
import {
  OID,
  bitString,
  context,
  contextPrimitive,
  decodeDer,
  fieldsOf,
  integer,
  octetString,
  readOctetBits,
  sequence,
  TAG,
  time,
} from '../asn1/index.ts'
import { sign, signatureAlgorithm, type HashName } from './algorithms.ts'
import { parseCertificate, type Certificate } from './certificate.ts'
import {
  encodeAlternativeNames,
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeExtension,
  encodeKeyUsage,
} from './extensions.ts'
import type { AlternativeName, KeyUsage } from './extensions.ts'
import { generateRsaKey, spkiOf } from './keys.ts'
import { encodeName, type NameInput } from './name.ts'

const DAY = 24 * 60 * 60 * 1000

/** A certificate with its private key. */
export interface Identity {
  readonly certificate: Certificate
  readonly key: KeyObject
}

/** What a certificate is to say. Times are cut to whole seconds. */
export interface CertificateTemplate {
  readonly subject: NameInput
  readonly notBefore: Date
  readonly notAfter: Date
  /** Default: digitalSignature. */
  readonly keyUsage?: readonly KeyUsage[]
  /** Dotted OIDs. */
  readonly extendedKeyUsage?: readonly string[]
  readonly subjectAltNames?: readonly AlternativeName[]
  /** Present for a CA certificate. */
  readonly ca?: { readonly pathLength?: number }
  /** Big-endian bytes; default: 128 random bits. */
  readonly serialNumber?: Uint8Array
  /** Default: sha256. */
  readonly hash?: HashName
}

/** Issues a certificate for a public key (SubjectPublicKeyInfo, DER), signed by the issuer's RSA or EC key. */
export async function issueCertificate(
  options: CertificateTemplate & { issuer: Identity; spki: Buffer },
): Promise<Certificate> {
  const { issuer, spki } = options
  const { subjectDer, subjectKeyId } = issuer.certificate
  const issuerKeyId =
    subjectKeyId === undefined ? keyId(issuer.certificate.spki) : Buffer.from(subjectKeyId, 'hex')
  return build(options, spki, { name: subjectDer, key: issuer.key, keyId: issuerKeyId })
}

/**
 * Makes a self-signed RSA CA that can also serve SCEP: certificates are signed and envelopes opened with its one
 * key. It is valid from five minutes before `now`.
 */
export async function createSelfSignedCa(options: {
  commonName: string
  organization: string
  now: Date
  days: number
  bits?: 2048 | 3072
}): Promise<Identity> {
  const { commonName, organization, now, days, bits = 2048 } = options
  return createLeaf({
    subject: [
      ['O', organization],
      ['CN', commonName],
    ],
    ...validity(now, days),
    keyUsage: ['digitalSignature', 'keyEncipherment', 'keyCertSign', 'cRLSign'],
    ca: {},
    key: await generateRsaKey(bits),
  })
}

/** Makes a certificate for a private key (a new RSA-2048 one by default), self-signed when no issuer is given. */
export async function createLeaf(
  options: CertificateTemplate & { issuer?: Identity; key?: KeyObject },
): Promise<Identity> {
  const { issuer, key = await generateRsaKey() } = options
  const spki = spkiOf(key)
  if (issuer !== undefined) return { certificate: await issueCertificate({ ...options, issuer, spki }), key }
  const self = { name: encodeName(options.subject), key, keyId: keyId(spki) }
  return { certificate: await build(options, spki, self), key }
}

/** A validity from five minutes before `now`, for clocks that are behind, to `days` after it. */
export function validity(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(now.getTime() - 5 * 60 * 1000),
    notAfter: new Date(now.getTime() + days * DAY),
  }
}

async function build(
  template: CertificateTemplate,
  spki: Buffer,
  issuer: { name: Buffer; key: KeyObject; keyId: Buffer },
): Promise<Certificate> {
  const { subject, notBefore, notAfter, serialNumber = randomSerial(), hash = 'sha256' } = template
  const algorithm = signatureAlgorithm(issuer.key, hash)
  const body = sequence(
    context(0, integer(2)),
    integer(serialNumber),
    algorithm,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    encodeName(subject),
    spki,
    context(3, sequence(...encodeExtensions(template, spki, issuer.keyId))),
  )
  return parseCertificate(sequence(body, algorithm, bitString(await sign(issuer.key, hash, body))))
}

function encodeExtensions(template: CertificateTemplate, spki: Buffer, issuerKeyId: Buffer): Buffer[] {
  const { keyUsage = ['digitalSignature'], extendedKeyUsage = [], subjectAltNames = [], ca } = template
  const extensions = [
    encodeExtension(OID.basicConstraints, true, encodeBasicConstraints(ca)),
    encodeExtension(OID.keyUsage, true, encodeKeyUsage(keyUsage)),
    encodeExtension(OID.subjectKeyIdentifier, false, octetString(keyId(spki))),
    encodeExtension(OID.authorityKeyIdentifier, false, sequence(contextPrimitive(0, issuerKeyId))),
  ]
  if (extendedKeyUsage.length > 0) {
    extensions.push(encodeExtension(OID.extendedKeyUsage, false, encodeExtendedKeyUsage(extendedKeyUsage)))
  }
  if (subjectAltNames.length > 0) {
    extensions.push(encodeExtension(OID.subjectAltName, false, encodeAlternativeNames(subjectAltNames)))
  }
  return extensions
}

// The 01 in front keeps the number positive and of one length, with all 128 bits after it random.
function randomSerial(): Buffer {
  return Buffer.concat([Buffer.of(1), randomBytes(16)])
}

/** SHA-1 of the key's bits, the usual identifier (RFC 5280, section 4.2.1.2). */
function keyId(spki: Buffer): Buffer {
  const fields = fieldsOf(decodeDer(spki, 'x509_invalid'), TAG.sequence, 'public key')
  fields.any('algorithm')
  return digestOf('sha1', readOctetBits(fields.any('key'), 'key'), 'buffer')
}
