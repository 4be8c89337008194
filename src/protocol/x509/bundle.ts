import { createPrivateKey, type KeyObject } from 'node:crypto'
import { AppError } from '../../kernel/errors.ts'
import { parseCertificate, type Certificate } from './certificate.ts'
import { readPem, type PemBlock } from './pem.ts'

/** Certificates in their order and the private key, if there is one. */
export interface Bundle {
  readonly certificates: readonly Certificate[]
  readonly key: KeyObject | undefined
}

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
  const [key] = keys
  return { certificates: certificatesOf(blocks), key: key && readKey(key) }
}

/** The certificates in a PEM text; other blocks are passed over. Refuses `x509_invalid`. */
export function readPemCertificates(input: Uint8Array | string): Certificate[] {
  return certificatesOf(readPem(input))
}

function certificatesOf(blocks: readonly PemBlock[]): Certificate[] {
  return blocks.filter(({ label }) => label === 'CERTIFICATE').map(({ der }) => parseCertificate(der))
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
