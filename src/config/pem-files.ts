import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A certificate (with the rest of its chain, if the file has one) and the private key that belongs to it. */
export type CertificateAndKey = { readonly certificatePem: string; readonly keyPem: string }

/** How every certificate in DER begins. */
const DER_SEQUENCE = 0x30
const KEY_LABELS = ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY']
const ENCRYPTED_KEY = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

/** The text of a file. The message of the error has the path and the system's code, never the content. */
export function readText(path: string): string {
  return readBytes(path).toString('utf8')
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new Error(`names a file that cannot be read: ${path} (${codeOf(error)})`, { cause: error })
  }
}

/** The PEM blocks of that label, with their first and last lines. */
function blocksIn(text: string, label: string): string[] {
  const begin = `-----BEGIN ${label}-----`
  const end = `-----END ${label}-----`
  const pieces = text.split(begin).slice(1)
  return pieces
    .filter((piece) => piece.includes(end))
    .map((piece) => `${begin}${piece.split(end, 1)[0]}${end}`)
}

function certificatesIn(path: string, text: string): [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = blocksIn(text, 'CERTIFICATE')
  if (first === undefined) throw new Error(`names a file without a certificate in PEM: ${path}`)
  try {
    return [new X509Certificate(first), ...rest.map((pem) => new X509Certificate(pem))]
  } catch (error) {
    throw new Error(`names a file with a damaged certificate: ${path}`, { cause: error })
  }
}

function keyIn(path: string, text: string): string {
  if (ENCRYPTED_KEY.test(text))
    throw new Error(`names a file whose key is encrypted; decrypt it first: ${path}`)
  const pem = KEY_LABELS.flatMap((label) => blocksIn(text, label))[0]
  if (pem === undefined) throw new Error(`names a file without a private key in PEM: ${path}`)
  return pem
}

function belongsTo(certificate: X509Certificate, keyPem: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(keyPem))
  } catch {
    return false
  }
}

/** A file in DER, as CAs publish theirs, as the text in PEM that it would be. */
function toPem(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----`
}

/** One or more certificates in PEM, or one in DER: text in PEM of the certificates alone, whatever else the file holds. */
export function readCertificates(path: string): string {
  const bytes = readBytes(path)
  return certificatesIn(path, bytes[0] === DER_SEQUENCE ? toPem(bytes) : bytes.toString('utf8'))
    .map((certificate) => certificate.toString())
    .join('')
}

/** A certificate and its key, from one file or from two. Throws when one is missing or they do not match. */
export function readCertificateAndKey(certificatePath: string, keyPath: string): CertificateAndKey {
  const certificates = certificatesIn(certificatePath, readText(certificatePath))
  const keyPem = keyIn(keyPath, readText(keyPath))
  if (!belongsTo(certificates[0], keyPem)) {
    throw new Error(`names a certificate that does not match its key: ${certificatePath}, ${keyPath}`)
  }
  return { certificatePem: certificates.map((certificate) => certificate.toString()).join(''), keyPem }
}

/** A certificate authority to import: its certificate comes first in the file, its key anywhere in it. */
export function readAuthority(path: string): CertificateAndKey {
  const pair = readCertificateAndKey(path, path)
  if (!new X509Certificate(pair.certificatePem).ca) {
    throw new Error(`names a certificate that is not of a certificate authority: ${path}`)
  }
  return pair
}
