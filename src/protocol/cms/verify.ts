import { hash as digestOf } from 'node:crypto'
import { ownCopy } from '../../kernel/bytes.ts'
import { AppError } from '../../kernel/errors.ts'
import { TAG, sorted, tlv, childrenOf } from '../asn1/index.ts'
import { parseCertificate, verifySignature, type Certificate, type HashName } from '../x509/index.ts'
import { mandatoryDigest, readAttributes, signingTime, type Attributes } from './attributes.ts'
import { readSignedData } from './signed-data.ts'
import type { CertificateReference, SignedDataParts, SignerInfo } from './signed-data.ts'

/** What the caller expects of a signed message. */
export interface VerifyOptions {
  /**
   * The content of a detached signature. The message may then hold no content of its own. Without this the content must be
   * inside, unless `content` is `optional`.
   */
  readonly detached?: { readonly content: Uint8Array }
  /** `optional`: a message without content is one over nothing (SCEP failures). Default: `required`. */
  readonly content?: 'required' | 'optional'
  /** `ber`: lengths and strings as lax clients write them. Default: `der`. */
  readonly encoding?: 'der' | 'ber'
  /** `optional`: a signature directly over the content is good too. Default: `required`. */
  readonly attributes?: 'required' | 'optional'
}

/** A message whose one signature is right. Nothing is said of whether the signer is trusted. */
interface VerifiedMessage {
  /** The embedded content. */
  readonly content: Buffer | undefined
  readonly contentType: string
  readonly signer: Certificate
  /** DER of all certificates, in the message's order. */
  readonly certificates: readonly Buffer[]
  readonly digestAlgorithm: HashName
  readonly signedAttributes: Attributes
  /** What the signature is over: the attributes, which name the content's digest, or the content itself. */
  readonly signed: Uint8Array
  readonly signingTime: Date | undefined
}

/** The attributes, if there are any, and what the signature is over. */
type Proof = Pick<VerifiedMessage, 'signed'> & { readonly attributes: Attributes }

/** Verifies signed messages, remembering the certificates of recent signers. */
type SignatureVerifier = (message: Uint8Array, options?: VerifyOptions) => VerifiedMessage

/**
 * Makes a verifier of CMS SignedData with one signer (RFC 5652, section 5.6): RSA PKCS#1 v1.5, RSA-PSS and ECDSA,
 * SHA-1 to SHA-512. It keeps the last `cacheSize` signer certificates with their keys by the digest of their DER, so it
 * remembers nothing that could become untrue. Refuses `cms_invalid` with the reason. Public-key
 * verification takes some 30 microseconds, less than the way to a thread and back.
 */
export function createSignatureVerifier(options: { cacheSize: number }): SignatureVerifier {
  const load = createCertificateCache(options.cacheSize)
  return (message, expected = {}) => verifyMessage(message, expected, load)
}

function verifyMessage(
  message: Uint8Array,
  options: VerifyOptions,
  load: (der: Buffer) => Certificate,
): VerifiedMessage {
  const parts = readSignedData(message, options.encoding ?? 'der')
  const info = onlySigner(parts)
  const embedded = embeddedContent(parts, options)
  const signer = findSigner(parts.certificates, info.signer, load)
  const content = embedded ?? options.detached?.content ?? Buffer.alloc(0)
  const { attributes: signedAttributes, signed } =
    info.signedAttributes === undefined
      ? verifyDirectly(info, signer, content, options)
      : verifyOver(info, signer, parts.contentType, content)
  return {
    content: embedded,
    contentType: parts.contentType,
    signer,
    certificates: parts.certificates,
    digestAlgorithm: info.hash,
    signedAttributes,
    signed,
    signingTime: signingTime(signedAttributes),
  }
}

function embeddedContent(parts: SignedDataParts, options: VerifyOptions): Buffer | undefined {
  if (options.detached !== undefined && parts.content !== undefined) {
    throw refusal('a detached signature that holds content of its own')
  }
  if (options.detached === undefined && parts.content === undefined && options.content !== 'optional') {
    throw refusal('the message holds no content')
  }
  return parts.content
}

/** The one signer of a message. */
export function onlySigner(parts: SignedDataParts): SignerInfo {
  const [info, another] = parts.signers
  if (info !== undefined && another === undefined) return info
  throw refusal(`the message has ${parts.signers.length} signers`)
}

/**
 * Without attributes the signature is over the content itself. Content that looks like encoded attributes is refused:
 * it may be those of another message, whose signature would then be right (the attack by stripping them).
 */
function verifyDirectly(
  info: SignerInfo,
  signer: Certificate,
  content: Uint8Array,
  options: VerifyOptions,
): Proof {
  if (options.attributes !== 'optional') throw refusal('the signature has no signed attributes')
  if (content[0] === TAG.set) throw refusal('the content looks like signed attributes')
  if (!verifySignature(info.scheme, info.hash, content, signer.publicKey(), info.signature)) {
    throw refusal('the signature is wrong')
  }
  return { attributes: new Map(), signed: content }
}

function verifyOver(info: SignerInfo, signer: Certificate, contentType: string, content: Uint8Array): Proof {
  const { digest, ...proof } = verifyAttributes(info, signer, contentType)
  if (!digest.equals(digestOf(info.hash, content, 'buffer')))
    throw refusal('the message digest is that of other content')
  return proof
}

/** Verifies the signature over the attributes; the digest in them is then to be compared with that of the content. */
export function verifyAttributes(
  info: SignerInfo,
  signer: Certificate,
  contentType: string,
): Proof & { digest: Buffer } {
  const { signedAttributes: element, scheme, hash, signature } = info
  if (element === undefined) throw refusal('the signature has no signed attributes')
  const attributes = readAttributes(element)
  const digest = mandatoryDigest(attributes, element, contentType)
  const asWritten = Buffer.from(element.encoded)
  asWritten[0] = TAG.set
  const key = signer.publicKey()
  if (verifySignature(scheme, hash, asWritten, key, signature))
    return { attributes, digest, signed: asWritten }
  // A signer that writes the attributes unsorted may still have signed them in DER's order (RFC 5652, section 5.4).
  const inOrder = tlv(
    TAG.set,
    ...sorted(childrenOf(element, 'signed attributes').map(({ encoded }) => encoded)),
  )
  if (!inOrder.equals(asWritten) && verifySignature(scheme, hash, inOrder, key, signature))
    return { attributes, digest, signed: inOrder }
  throw refusal('the signature is wrong')
}

/** The certificate, among those of the message, that a signer refers to. */
export function findSigner(
  certificates: readonly Buffer[],
  reference: CertificateReference,
  load: (der: Buffer) => Certificate,
): Certificate {
  for (const der of certificates) {
    const certificate = load(der)
    if (isReferenceTo(reference, certificate)) return certificate
  }
  throw refusal('the certificate of the signer is not in the message')
}

/** Whether a reference means this certificate. */
export function isReferenceTo(reference: CertificateReference, certificate: Certificate): boolean {
  if ('subjectKeyId' in reference) return reference.subjectKeyId === certificate.subjectKeyId
  const { issuerDer, serialBytes } = reference
  return serialBytes.equals(certificate.serialBytes) && issuerDer.equals(certificate.issuerDer)
}

/** Reads certificates, remembering the last `size` of them by the digest of their DER. */
export function createCertificateCache(size: number): (der: Buffer) => Certificate {
  const cache = new Map<string, Certificate>()
  return (der) => {
    const key = digestOf('sha256', der, 'hex')
    const known = cache.get(key)
    const certificate = known ?? parseCertificate(ownCopy(der), 'cms_invalid')
    cache.delete(key)
    if (size > 0) cache.set(key, certificate)
    if (cache.size > size) cache.delete(cache.keys().next().value ?? '')
    return certificate
  }
}

function refusal(reason: string): AppError {
  return new AppError('cms_invalid', reason)
}
