import { randomBytes } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import { octetString, printableString } from '../asn1/index.ts'
import { envelop, openEnvelope, readCertificates, signData } from '../cms/index.ts'
import type { ContentCipher, UnwrapKey } from '../cms/index.ts'
import { parseCertificate, type Certificate, type HashName, type Identity } from '../x509/index.ts'
import { nonceAttribute, parsePkiMessage, textAttribute } from './message.ts'
import { FAIL_INFO, MESSAGE_TYPES, PKI_STATUS, SCEP_OID, nameOf } from './vocabulary.ts'
import type { FailInfo, MessageType, PkiStatus } from './vocabulary.ts'

/** An answer as a client reads it. */
export interface CertRep {
  readonly status: PkiStatus
  readonly transactionId: string
  readonly senderNonce: Buffer
  readonly recipientNonce: Buffer | undefined
  /** Who signed the answer; the client compares it with the CA's certificate. */
  readonly signer: Certificate
  /** Success: the certificates, the issued one first; else empty. */
  readonly certificates: readonly Certificate[]
  readonly cipher: ContentCipher | undefined
  readonly failInfo: FailInfo | undefined
  readonly failInfoText: string | undefined
}

/**
 * A request of a client (RFC 8894, section 3.3.1): the content (a PKCS#10 for PKCSReq, RenewalReq and UpdateReq) enveloped to
 * the CA and signed with `signer`: a self-signed certificate for PKCSReq, the present identity for a renewal.
 */
export async function buildRequest(options: {
  type: Exclude<MessageType, 'CertRep' | 'unknown'>
  content: Uint8Array
  ca: Certificate
  signer: Identity
  transactionId: string
  senderNonce?: Uint8Array
  cipher?: ContentCipher
  hash?: HashName
  now?: Date
}): Promise<Buffer> {
  const { type, content, ca, signer, transactionId, senderNonce = randomBytes(16) } = options
  const { cipher = 'aes-128-cbc', hash = 'sha256', now } = options
  return signData({
    content: envelop(content, { recipient: ca, cipher }),
    signer,
    hash,
    ...(now && { signingTime: now }),
    attributes: [
      [SCEP_OID.messageType, printableString(MESSAGE_TYPES[type])],
      [SCEP_OID.transactionId, printableString(transactionId)],
      [SCEP_OID.senderNonce, octetString(senderNonce)],
    ],
  })
}

/** Reads an answer with the identity that signed the request. Refuses `cms_invalid` and `scep_invalid`. */
export async function parseCertRep(
  message: Uint8Array,
  options: { identity: Identity; unwrap: UnwrapKey },
): Promise<CertRep> {
  const parsed = parsePkiMessage(message)
  const { messageType, transactionId, senderNonce, signer, attributes, envelope } = parsed
  if (messageType !== 'CertRep')
    throw new AppError('scep_invalid', `the answer is a ${messageType}, not a CertRep`)
  const status = nameOf(PKI_STATUS, textAttribute(attributes, SCEP_OID.pkiStatus) ?? '')
  if (status === undefined) throw new AppError('scep_invalid', 'the answer has no known status')
  if (status === 'SUCCESS' && envelope === undefined)
    throw new AppError('scep_invalid', 'a success without content')
  const opened =
    status === 'SUCCESS' && envelope !== undefined ? await openEnvelope(envelope, options) : undefined
  return {
    status,
    transactionId,
    senderNonce,
    recipientNonce: nonceAttribute(attributes, SCEP_OID.recipientNonce),
    signer,
    certificates:
      opened === undefined ? [] : readCertificates(opened.content).map((der) => parseCertificate(der)),
    cipher: opened?.cipher,
    failInfo: nameOf(FAIL_INFO, textAttribute(attributes, SCEP_OID.failInfo) ?? ''),
    failInfoText: textAttribute(attributes, SCEP_OID.failInfoText),
  }
}
