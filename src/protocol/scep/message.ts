import { AppError } from '../../kernel/errors.ts'
import { readOctetString, readText } from '../asn1/index.ts'
import {
  attributeValue,
  createSignatureVerifier,
  openEnvelope,
  readUnsupportedAttributes,
} from '../cms/index.ts'
import type { Attributes, ContentCipher, UnwrapKey } from '../cms/index.ts'
import { parseCsr } from '../x509/index.ts'
import type { Certificate, CertificateRequest, HashName, Identity } from '../x509/index.ts'
import { MESSAGE_TYPES, SCEP_OID, nameOf, type MessageType } from './vocabulary.ts'

/** A SCEP message whose signature is right by the certificate inside it, which proves nothing of who sent it. */
export interface PkiMessage {
  readonly messageType: MessageType
  readonly transactionId: string
  /** 16 bytes by the standard, 8 from Apple's devices. */
  readonly senderNonce: Buffer
  /** The signer: a self-signed certificate of the moment, or an identity. Answers are encrypted to it. */
  readonly signer: Certificate
  readonly digestAlgorithm: HashName
  readonly signingTime: Date | undefined
  /** The enveloped content; undefined in failures. */
  readonly envelope: Buffer | undefined
  readonly attributes: Attributes
}

/** What an answer takes from the message that it answers. */
export type Answerable = Pick<PkiMessage, 'transactionId' | 'senderNonce' | 'digestAlgorithm'>

const MAX_TRANSACTION_ID = 256
const MAX_NONCE = 64

// Nearly every request has a signer of its own: nothing to remember.
const verifySignature = createSignatureVerifier({ cacheSize: 0 })

/**
 * Reads and verifies a pkiMessage (RFC 8894, section 3), in BER as clients write it. Refuses `cms_invalid` when it is
 * not a rightly signed message, `scep_invalid` when it lacks type, transaction or nonce.
 */
export function parsePkiMessage(message: Uint8Array): PkiMessage {
  const verified = verifySignature(message, { encoding: 'ber', content: 'optional' })
  const { signer, digestAlgorithm, signingTime, signedAttributes: attributes } = verified
  const number = textAttribute(attributes, SCEP_OID.messageType)
  if (number === undefined) throw new AppError('scep_invalid', 'the message type is missing')
  return {
    ...readAddress(attributes),
    messageType: nameOf(MESSAGE_TYPES, number) ?? 'unknown',
    signer,
    digestAlgorithm,
    signingTime,
    envelope: verified.content?.length === 0 ? undefined : verified.content,
    attributes,
  }
}

/**
 * Where an answer is to go that says `badAlg`, of a message whose digest or signature algorithm is not supported (MD5);
 * undefined for any other. It cannot be verified, and nothing more is to be done with it.
 */
export function readUnsupported(message: Uint8Array): Answerable | undefined {
  try {
    const attributes = readUnsupportedAttributes(message, 'ber')
    return attributes && { ...readAddress(attributes), digestAlgorithm: 'sha256' }
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

function readAddress(attributes: Attributes): Pick<PkiMessage, 'transactionId' | 'senderNonce'> {
  const transactionId = textAttribute(attributes, SCEP_OID.transactionId)
  const senderNonce = nonceAttribute(attributes, SCEP_OID.senderNonce)
  if (transactionId === undefined || transactionId === '' || transactionId.length > MAX_TRANSACTION_ID) {
    throw new AppError('scep_invalid', 'the transaction id is missing or too long')
  }
  if (senderNonce === undefined) throw new AppError('scep_invalid', 'the sender nonce is missing')
  return { transactionId, senderNonce }
}

/**
 * Decrypts the certificate request of a PKCSReq, RenewalReq or UpdateReq. Everything that can be wrong inside the
 * envelope is refused alike, as `scep_invalid`. The caller checks `csr.verify()`.
 */
export async function openRequest(
  message: PkiMessage,
  options: { identity: Identity; unwrap: UnwrapKey },
): Promise<{ csr: CertificateRequest; cipher: ContentCipher }> {
  if (message.envelope === undefined) throw new AppError('scep_invalid', 'the message holds no envelope')
  try {
    const { content, cipher } = await openEnvelope(message.envelope, options)
    return { csr: parseCsr(content, message.signer), cipher }
  } catch (error) {
    if (error instanceof AppError && (error.code === 'overloaded' || error.code === 'internal')) throw error
    throw new AppError('scep_invalid', 'the envelope cannot be opened, or holds no certificate request')
  }
}

/**
 * The message of a GET request, from its decoded query parameter: spaces stand for plus signs that were not escaped,
 * padding may be missing, the URL-safe alphabet is fine. Refuses `scep_invalid`.
 */
export function decodeMessageParameter(parameter: string): Buffer {
  const text = parameter.replaceAll(' ', '+').replaceAll(/[\r\n]/g, '')
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text))
    throw new AppError('scep_invalid', 'the message parameter is no base64')
  return Buffer.from(text, 'base64')
}

/** The text of a signed attribute; undefined when it is missing. */
export function textAttribute(attributes: Attributes, type: string): string | undefined {
  const value = attributeValue(attributes, type)
  return value && readText(value, 'SCEP attribute')
}

/** The bytes of a nonce attribute; undefined when it is missing. */
export function nonceAttribute(attributes: Attributes, type: string): Buffer | undefined {
  const value = attributeValue(attributes, type)
  const nonce = value && readOctetString(value, 'nonce')
  if (nonce !== undefined && nonce.length > MAX_NONCE)
    throw new AppError('scep_invalid', 'the nonce is too long')
  return nonce
}
