import { createPrivateKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import forge from 'node-forge'
import { AppError } from '../../kernel/errors.ts'
import { asBuffer } from '../asn1/index.ts'
import { parseCertificate } from './certificate.ts'
import type { Certificate } from './certificate.ts'
import { readPem } from './pem.ts'
import type { PemBlock } from './pem.ts'

/** Certificates in their order and the private key, if there is one. */
export interface Bundle {
  readonly certificates: readonly Certificate[]
  readonly key: KeyObject | undefined
}

const MAX_PKCS12_BYTES = 256 * 1024
const KEY_TYPES: Record<string, 'pkcs8' | 'pkcs1' | 'sec1'> = {
  'PRIVATE KEY': 'pkcs8',
  'RSA PRIVATE KEY': 'pkcs1',
  'EC PRIVATE KEY': 'sec1',
}

/**
 * Reads certificates and at most one private key (PKCS#8, PKCS#1 or SEC 1) from a PEM text. Other blocks are passed
 * over. Refuses `x509_invalid`; encrypted keys too.
 */
export function readPemBundle(input: Uint8Array | string): Bundle {
  const blocks = readPem(input)
  const keys = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'))
  if (keys.length > 1) throw new AppError('x509_invalid', 'there is more than one private key')
  const certificates = blocks
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der }) => parseCertificate(der))
  const [key] = keys
  return { certificates, key: key && readKey(key) }
}

/**
 * Reads a PKCS#12 file (RFC 7292), protected as old and present tools do (3DES, RC2, AES). Refuses `x509_invalid`, with
 * `fields[0].path` `password` when the password is wrong and `pkcs12` when the file is none.
 */
export function readPkcs12(file: Uint8Array, password: string): Bundle {
  if (file.length > MAX_PKCS12_BYTES) throw refused('pkcs12', `PKCS#12: more than ${MAX_PKCS12_BYTES} bytes`)
  const pfx = open(file, password)
  const { pkcs8ShroudedKeyBag, keyBag, certBag } = forge.pki.oids
  const bags = (type: string | undefined) => (type && pfx.getBags({ bagType: type })[type]) || []
  const keys = [...bags(pkcs8ShroudedKeyBag), ...bags(keyBag)]
  if (keys.length > 1) throw refused('pkcs12', 'PKCS#12: there is more than one private key')
  const certificates = bags(certBag).map((bag) => parseCertificate(toDer(certificateAsn1(bag))))
  const [key] = keys
  return { certificates, key: key && keyOf(key) }
}

function open(file: Uint8Array, password: string): forge.pkcs12.Pkcs12Pfx {
  let asn1: forge.asn1.Asn1
  try {
    asn1 = forge.asn1.fromDer(forge.util.createBuffer(asBuffer(file).toString('binary')))
  } catch (error) {
    throw refused('pkcs12', 'PKCS#12: this is no such file', error)
  }
  try {
    return forge.pkcs12.pkcs12FromAsn1(asn1, false, password)
  } catch (error) {
    const reason = error instanceof Error ? error.message : ''
    if (/MAC could not be verified|Invalid password/i.test(reason)) {
      throw refused('password', 'PKCS#12: the password is wrong', error)
    }
    throw refused('pkcs12', 'PKCS#12: this is no such file, or one of a kind that is not supported', error)
  }
}

function certificateAsn1(bag: forge.pkcs12.Bag): forge.asn1.Asn1 {
  if (bag.cert) return forge.pki.certificateToAsn1(bag.cert)
  if (bag.asn1) return bag.asn1
  throw refused('pkcs12', 'PKCS#12: a certificate cannot be read')
}

function keyOf(bag: forge.pkcs12.Bag): KeyObject {
  try {
    if (bag.key) {
      return createPrivateKey({
        key: toDer(forge.pki.privateKeyToAsn1(bag.key)),
        format: 'der',
        type: 'pkcs1',
      })
    }
    return createPrivateKey({ key: toDer(bag.asn1), format: 'der', type: 'pkcs8' })
  } catch (error) {
    throw refused('pkcs12', 'PKCS#12: the private key cannot be read', error)
  }
}

function toDer(asn1: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'binary')
}

function readKey(block: PemBlock): KeyObject {
  if (block.encrypted) throw new AppError('x509_invalid', 'the private key is encrypted: decrypt it first')
  const type = KEY_TYPES[block.label]
  if (type === undefined) throw new AppError('x509_invalid', `PEM: ${block.label} is not supported`)
  try {
    return createPrivateKey({ key: block.der, format: 'der', type })
  } catch (error) {
    throw new AppError('x509_invalid', 'the private key cannot be read', { cause: error })
  }
}

function refused(path: string, message: string, cause?: unknown): AppError {
  return new AppError('x509_invalid', message, { cause, fields: [{ path, message }] })
}
