import { constants, publicEncrypt } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import {
  OID,
  TAG,
  algorithm,
  childrenOf,
  context,
  contextPrimitive,
  fieldsOf,
  integer,
  nullValue,
  octetString,
  oid,
  readAlgorithm,
  readOctetString,
  readOid,
  readSmallInteger,
  refuse,
  sequence,
  setOf,
} from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'
import { hashAlgorithm, readHash, type Certificate, type HashName, type Identity } from '../x509/index.ts'
import { decryptContent, encryptContent, keyLengthOf, readCipher, type ContentCipher } from './ciphers.ts'
import { certificateReference, contentInfo } from './sign.ts'
import { readCertificateReference, readContentInfo, type CertificateReference } from './signed-data.ts'
import type { UnwrapKey } from './unwrap-key.ts'
import { isReferenceTo } from './verify.ts'

interface Recipient {
  readonly reference: CertificateReference
  readonly oaepHash: HashName | undefined
  readonly encryptedKey: Buffer
}

const MAX_RECIPIENTS = 16

/**
 * Encrypts to the RSA key of a certificate: an EnvelopedData in DER (RFC 5652, section 6). Key transport is PKCS#1
 * v1.5 unless `oaepHash` is given. Refuses `cms_invalid` when the key is no RSA key.
 */
export function envelop(
  content: Uint8Array,
  options: { recipient: Certificate; cipher: ContentCipher; oaepHash?: HashName },
): Buffer {
  const { recipient, cipher, oaepHash } = options
  const publicKey = recipient.publicKey()
  if (publicKey.asymmetricKeyType !== 'rsa') throw new AppError('cms_invalid', 'the recipient has no RSA key')
  const { key, identifier, encrypted } = encryptContent(cipher, content)
  const encryptedKey =
    oaepHash === undefined
      ? publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, key)
      : publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, key)
  const transport = sequence(
    integer(0),
    certificateReference(recipient),
    oaepHash === undefined ? algorithm(OID.rsaEncryption, nullValue()) : oaepAlgorithm(oaepHash),
    octetString(encryptedKey),
  )
  const body = sequence(oid(OID.data), identifier, contextPrimitive(0, encrypted))
  return contentInfo(OID.envelopedData, sequence(integer(0), setOf(transport), body))
}

/**
 * Decrypts an EnvelopedData (DER or BER) with the identity that it is encrypted to. Refuses `cms_invalid`, with
 * `fields[0].path` `recipient` when it is encrypted to others only; all that can be wrong with keys, padding and ciphertext
 * is told by one and the same refusal.
 */
export async function openEnvelope(
  message: Uint8Array,
  options: { identity: Identity; unwrap: UnwrapKey },
): Promise<{ content: Buffer; cipher: ContentCipher }> {
  const { certificate, key } = options.identity
  if (key.asymmetricKeyType !== 'rsa') throw new AppError('cms_invalid', 'envelopes need an RSA key')
  const fields = fieldsOf(readContentInfo(message, OID.envelopedData, 'ber'), TAG.sequence, 'enveloped data')
  readSmallInteger(fields.any('version'), 'version')
  fields.optional(TAG.context(0))
  const recipients = readRecipients(fields.next(TAG.set, 'recipients'))
  const { cipher, iv, encrypted } = readEncryptedContent(fields.any('encrypted content'))
  fields.optional(TAG.context(1))
  fields.end()
  const own = recipients.find(({ reference }) => isReferenceTo(reference, certificate))
  if (own === undefined) {
    const reason = 'the envelope is for another certificate'
    throw new AppError('cms_invalid', reason, { fields: [{ path: 'recipient', message: reason }] })
  }
  const { encryptedKey, oaepHash } = own
  const request = { key, encryptedKey, keyLength: keyLengthOf(cipher), ...(oaepHash && { oaepHash }) }
  const content = decryptContent(cipher, await options.unwrap(request), iv, encrypted)
  if (content === undefined) throw new AppError('cms_invalid', 'the envelope cannot be decrypted')
  return { content, cipher }
}

function readRecipients(set: Element): Recipient[] {
  const infos = childrenOf(set, 'recipients')
  if (infos.length > MAX_RECIPIENTS) refuse(set, `more than ${MAX_RECIPIENTS} recipients`)
  // Recipients of other kinds than key transport have context tags and are not for us.
  return infos.filter(({ tag }) => tag === TAG.sequence).map(readRecipient)
}

function readRecipient(info: Element): Recipient {
  const fields = fieldsOf(info, TAG.sequence, 'recipient')
  readSmallInteger(fields.any('version'), 'recipient version')
  const reference = readCertificateReference(fields.any('recipient reference'))
  const oaepHash = readKeyTransport(fields.any('key transport'))
  const encryptedKey = readOctetString(fields.any('encrypted key'), 'encrypted key')
  fields.end()
  return { reference, oaepHash, encryptedKey }
}

/** undefined: PKCS#1 v1.5; else the digest of OAEP (RFC 4055, section 4.1). */
function readKeyTransport(element: Element): HashName | undefined {
  const { oid: type, parameters } = readAlgorithm(element, 'key transport')
  if (type === OID.rsaEncryption) return undefined
  if (type !== OID.rsaesOaep) return refuse(element, `key transport ${type} is not supported`)
  if (parameters === undefined) return 'sha1'
  const fields = fieldsOf(parameters, TAG.sequence, 'OAEP parameters')
  const hash = readHashOf(fields.optional(TAG.context(0)))
  const mask = fields.optional(TAG.context(1))
  const label = fields.optional(TAG.context(2))
  fields.end()
  if (readMaskHash(mask) !== hash) refuse(element, 'OAEP with two different digests')
  if (label !== undefined && !readLabel(label)) refuse(element, 'OAEP with a label')
  return hash
}

function readHashOf(field: Element | undefined): HashName {
  return field === undefined
    ? 'sha1'
    : readHash(fieldsOf(field, field.tag, 'OAEP').any('digest'), 'OAEP digest')
}

function readMaskHash(field: Element | undefined): HashName {
  if (field === undefined) return 'sha1'
  const mask = fieldsOf(field, field.tag, 'OAEP').any('mask generation')
  const { oid: type, parameters } = readAlgorithm(mask, 'mask generation')
  if (type !== OID.mgf1 || parameters === undefined)
    return refuse(mask, `mask generation ${type} is not supported`)
  return readHash(parameters, 'mask digest')
}

function readLabel(field: Element): boolean {
  const { oid: type, parameters } = readAlgorithm(fieldsOf(field, field.tag, 'OAEP').any('label'), 'label')
  return type === OID.pSpecified && parameters?.content.length === 0
}

function oaepAlgorithm(hash: HashName): Buffer {
  const digest = hashAlgorithm(hash)
  return algorithm(OID.rsaesOaep, sequence(context(0, digest), context(1, algorithm(OID.mgf1, digest))))
}

function readEncryptedContent(element: Element) {
  const fields = fieldsOf(element, TAG.sequence, 'encrypted content')
  readOid(fields.any('content type'), 'content type')
  const { cipher, iv } = readCipher(fields.any('content cipher'))
  const encrypted = readPieces(fields.any('octets'))
  fields.end()
  return { cipher, iv, encrypted }
}

/** [0] IMPLICIT OCTET STRING, whole or in pieces. */
function readPieces(element: Element): Buffer {
  if (element.tag === TAG.contextPrimitive(0)) return element.content
  if (element.tag !== TAG.context(0)) refuse(element, 'the envelope holds no content')
  return Buffer.concat(childrenOf(element, 'pieces').map((piece) => readOctetString(piece, 'piece')))
}
