import type { KeyObject } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import {
  keyMatches,
  keyToPem,
  nameAttribute,
  readPemBundle,
  readPemCertificates,
  readPkcs12,
  writePem,
  type Bundle,
  type Certificate,
} from '../../protocol/x509/index.ts'

const OID_UID = '0.9.2342.19200300.100.1.1'
/** Topics of MDM; those of app pushes are bundle ids. */
const MDM_TOPIC = /^com\.apple\.mgmt\.[\x21-\x7e]{1,200}$/
const MAX_PASSWORD_CHARS = 1024

/** A push certificate as an administrator hands it over; `key`: it was asked for with this one, whatever comes with it. */
export type Upload = { pem: Uint8Array | string; key?: KeyObject } | { pkcs12: Uint8Array; password: string }

/** A push certificate that can be used, in PEM. */
interface UsableCertificate {
  topic: string
  certificate: string
  privateKey: string
  notAfter: Date
}

/**
 * Finds the push certificate and its key in an upload and checks that pushes can be sent with them at `now`. Refuses
 * with `push_certificate_invalid`, `_key_missing`, `_not_mdm` or `_expired`.
 */
export function readPushCertificate(upload: Upload, now: Date): UsableCertificate {
  const { certificates, key } = readBundle(upload)
  if (certificates.length === 0)
    throw new AppError('push_certificate_invalid', 'There is no certificate in it.')
  if (key === undefined) {
    throw new AppError('push_certificate_key_missing', 'There is no private key with the certificate.')
  }
  const leaf = certificates.find((certificate) => keyMatches(certificate, key))
  if (leaf === undefined) {
    throw new AppError(
      'push_certificate_key_missing',
      'key' in upload
        ? 'The certificate was made for another request: it does not have the key of this one.'
        : 'The private key belongs to another certificate.',
    )
  }
  const topic = readTopic(leaf)
  if (leaf.notAfter <= now) {
    throw new AppError('push_certificate_expired', `The push certificate expired on ${dayOf(leaf.notAfter)}.`)
  }
  if (leaf.notBefore > now) {
    throw new AppError(
      'push_certificate_invalid',
      `The certificate is valid only from ${dayOf(leaf.notBefore)} on.`,
    )
  }
  const chain = [leaf, ...certificates.filter((certificate) => certificate !== leaf)]
  return {
    topic,
    certificate: chain.map(({ der }) => writePem('CERTIFICATE', der)).join(''),
    privateKey: keyToPem(key),
    notAfter: leaf.notAfter,
  }
}

function readBundle(upload: Upload): Bundle {
  try {
    if ('pem' in upload) {
      const { pem, key } = upload
      return key === undefined ? readPemBundle(pem) : { certificates: readPemCertificates(pem), key }
    }
    if (upload.password.length > MAX_PASSWORD_CHARS)
      throw new AppError('x509_invalid', 'the password is too long')
    return readPkcs12(upload.pkcs12, upload.password)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { fields, message } = error
    throw new AppError('push_certificate_invalid', `It cannot be read: ${message}.`, { cause: error, fields })
  }
}

function readTopic(certificate: Certificate): string {
  const topic = nameAttribute(certificate.subject, OID_UID)
  if (topic === undefined || !MDM_TOPIC.test(topic)) throw new AppError('push_certificate_not_mdm')
  return topic
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}
