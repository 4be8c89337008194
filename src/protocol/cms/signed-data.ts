import { AppError } from '../../kernel/errors.ts'
import {
  OID,
  TAG,
  berToDer,
  childrenOf,
  decodeDer,
  expectTag,
  fieldsOf,
  readInteger,
  readOctetString,
  readOid,
  readSmallInteger,
  refuse,
} from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'
import { readHash, readSignatureScheme, type HashName, type SignatureScheme } from '../x509/index.ts'

/** How a message refers to a certificate: by issuer and serial number, or by subject key identifier (hex). */
export type CertificateReference =
  { readonly issuerDer: Buffer; readonly serialBytes: Buffer } | { readonly subjectKeyId: string }

/** A SignerInfo, read and not yet verified. `signedAttributes` is the value with its tag [0]. */
export interface SignerInfo {
  readonly signer: CertificateReference
  readonly hash: HashName
  readonly signedAttributes: Element | undefined
  readonly scheme: SignatureScheme
  readonly signature: Buffer
}

/** A SignedData (RFC 5652, section 5.1), read and not yet verified. */
export interface SignedDataParts {
  readonly contentType: string
  readonly content: Buffer | undefined
  /** DER of each certificate, in the message's order. */
  readonly certificates: readonly Buffer[]
  readonly signers: readonly SignerInfo[]
}

const MAX_CARRIED_CERTIFICATES = 16

/** Opens a ContentInfo of the given type and returns what is inside. `ber` takes the liberties of `berToDer`. */
export function readContentInfo(message: Uint8Array, type: string, encoding: 'der' | 'ber'): Element {
  const der = encoding === 'ber' ? berToDer(message, 'cms_invalid') : message
  const info = fieldsOf(decodeDer(der, 'cms_invalid'), TAG.sequence, 'content info')
  const found = readOid(info.any('content type'), 'content type')
  if (found !== type) throw new AppError('cms_invalid', `the message is of type ${found}, not ${type}`)
  const wrapped = fieldsOf(info.any('content'), TAG.context(0), 'content')
  info.end()
  const inner = wrapped.next(TAG.sequence, 'content')
  wrapped.end()
  return inner
}

/** Reads the structure of a SignedData message. Refuses `cms_invalid`. */
export function readSignedData(message: Uint8Array, encoding: 'der' | 'ber'): SignedDataParts {
  const fields = fieldsOf(readContentInfo(message, OID.signedData, encoding), TAG.sequence, 'signed data')
  readSmallInteger(fields.any('version'), 'version')
  fields.next(TAG.set, 'digest algorithms')
  const encapsulated = fieldsOf(fields.any('encapsulated content'), TAG.sequence, 'encapsulated content')
  const contentType = readOid(encapsulated.any('content type'), 'content type')
  const wrapped = encapsulated.optional(TAG.context(0))
  encapsulated.end()
  const certificates = fields.optional(TAG.context(0))
  fields.optional(TAG.context(1))
  const signers = fields.next(TAG.set, 'signers')
  fields.end()
  return {
    contentType,
    content: wrapped && onlyOctets(wrapped),
    certificates: certificates === undefined ? [] : readCertificateSet(certificates),
    signers: childrenOf(signers, 'signers').map(readSignerInfo),
  }
}

/** Reads IssuerAndSerialNumber, or a [0] subject key identifier. */
export function readCertificateReference(element: Element): CertificateReference {
  if (element.tag === TAG.contextPrimitive(0)) return { subjectKeyId: element.content.toString('hex') }
  const fields = fieldsOf(element, TAG.sequence, 'certificate reference')
  const issuerDer = fields.next(TAG.sequence, 'issuer').encoded
  const serialBytes = readInteger(fields.any('serial number'), 'serial number')
  fields.end()
  return { issuerDer, serialBytes }
}

function readCertificateSet(set: Element): Buffer[] {
  const certificates = childrenOf(set, 'certificates')
  if (certificates.length > MAX_CARRIED_CERTIFICATES)
    refuse(set, `more than ${MAX_CARRIED_CERTIFICATES} certificates`)
  return certificates.map((certificate) => expectTag(certificate, TAG.sequence, 'certificate').encoded)
}

function onlyOctets(wrapped: Element): Buffer {
  const fields = fieldsOf(wrapped, wrapped.tag, 'encapsulated content')
  const octets = readOctetString(fields.any('octets'), 'encapsulated content')
  fields.end()
  return octets
}

function readSignerInfo(element: Element): SignerInfo {
  const fields = fieldsOf(element, TAG.sequence, 'signer')
  const version = readSmallInteger(fields.any('version'), 'signer version')
  if (version !== 1 && version !== 3) refuse(element, `a signer of version ${version}`)
  const signer = readCertificateReference(fields.any('signer reference'))
  const hash = readHash(fields.any('digest algorithm'), 'digest algorithm')
  const signedAttributes = fields.optional(TAG.context(0))
  const scheme = readSignatureScheme(fields.any('signature algorithm'))
  const signature = readOctetString(fields.any('signature'), 'signature')
  fields.optional(TAG.context(1))
  fields.end()
  if (scheme.hash !== undefined && scheme.hash !== hash) {
    refuse(element, `digest ${hash} does not fit a signature with ${scheme.hash}`)
  }
  return { signer, hash, signedAttributes, scheme, signature }
}
