import { randomBytes } from 'node:crypto'
import { octetString, printableString, utf8String } from '../asn1/index.ts'
import { degenerate, envelop, signData, type AttributeInput, type ContentCipher } from '../cms/index.ts'
import type { Certificate, Identity } from '../x509/index.ts'
import type { Answerable, PkiMessage } from './message.ts'
import { CAPABILITIES, FAIL_INFO, MESSAGE_TYPES, PKI_STATUS, SCEP_OID } from './vocabulary.ts'
import type { FailInfo, PkiStatus } from './vocabulary.ts'

const SENDER_NONCE_BYTES = 16

/**
 * A CertRep with the issued certificate (RFC 8894, section 3.3.2), encrypted to the signer of the request with its cipher (triple
 * DES where it was single DES) and signed with its digest. The issued certificate comes first in both
 * lists, because some clients take the first they see. Refuses `cms_invalid` when the client's key is no RSA key.
 */
export async function buildSuccess(options: {
  request: PkiMessage
  issued: Certificate
  /** Further certificates for the client, such as the CA's. */
  chain?: readonly Certificate[]
  /** The cipher of the request. */
  cipher: ContentCipher
  signer: Identity
  now: Date
}): Promise<Buffer> {
  const { request, issued, chain = [], signer } = options
  const cipher = options.cipher === 'des-cbc' ? 'des-ede3-cbc' : options.cipher
  const content = envelop(degenerate([issued, ...chain]), { recipient: request.signer, cipher })
  return answer(options, 'SUCCESS', { content, certificates: [issued, signer.certificate] })
}

/** A CertRep that refuses (RFC 8894, section 3.3.2.2). The text is for people and reaches few of them. */
export async function buildFailure(options: {
  request: Answerable
  failInfo: FailInfo
  failInfoText?: string
  signer: Identity
  now: Date
}): Promise<Buffer> {
  const { failInfo, failInfoText } = options
  const attributes: AttributeInput[] = [[SCEP_OID.failInfo, printableString(FAIL_INFO[failInfo])]]
  if (failInfoText !== undefined) attributes.push([SCEP_OID.failInfoText, utf8String(failInfoText)])
  return answer(options, 'FAILURE', { attributes, certificates: [options.signer.certificate] })
}

/** The answer to GetCACaps (RFC 8894, section 3.5.2). */
export function caCapabilities(options: { sha1: boolean }): string {
  return [...CAPABILITIES, ...(options.sha1 ? ['SHA-1'] : [])].join('\n') + '\n'
}

/** The answer to GetCACert (RFC 8894, section 4.2): one certificate as it is, several as a certs-only message. */
export function caCertificates(certificates: readonly [Certificate, ...Certificate[]]): {
  contentType: string
  body: Buffer
} {
  const [first, ...others] = certificates
  if (others.length === 0) return { contentType: 'application/x-x509-ca-cert', body: first.der }
  return { contentType: 'application/x-x509-ca-ra-cert', body: degenerate(certificates) }
}

async function answer(
  { request, signer, now }: { request: Answerable; signer: Identity; now: Date },
  status: PkiStatus,
  body: { content?: Buffer; certificates: readonly Certificate[]; attributes?: readonly AttributeInput[] },
): Promise<Buffer> {
  return signData({
    ...body,
    signer,
    hash: request.digestAlgorithm,
    signingTime: now,
    attributes: [
      [SCEP_OID.messageType, printableString(MESSAGE_TYPES.CertRep)],
      [SCEP_OID.pkiStatus, printableString(PKI_STATUS[status])],
      [SCEP_OID.transactionId, transactionValue(request.transactionId)],
      [SCEP_OID.senderNonce, octetString(randomBytes(SENDER_NONCE_BYTES))],
      [SCEP_OID.recipientNonce, octetString(request.senderNonce)],
      ...(body.attributes ?? []),
    ],
  })
}

function transactionValue(id: string): Buffer {
  return /^[\x20-\x7e]*$/.test(id) ? printableString(id) : utf8String(id)
}
