import { hash, randomBytes, randomUUID } from 'node:crypto'

/**
 * A new opaque id: a UUID of version 7 (RFC 9562, section 5.7), so that ids sort by the time they were made.
 */
export function newId(now: Date): string {
  const time = now.getTime().toString(16).padStart(12, '0')
  // Of a random UUID everything after the version fits as it is.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

/** A random UUID in Apple's upper-case spelling, for PayloadUUID and CommandUUID. */
export function newAppleUuid(): string {
  return randomUUID().toUpperCase()
}

/** The UUID in that spelling for which a text stands, the same each time (RFC 9562, section 5.8: version 8, of a SHA-256). */
export function appleUuidOf(text: string): string {
  const hex = sha256(text).toString('hex')
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) % 4)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`.toUpperCase()
}

/** A random secret of `bytes` bytes (default 32) in URL-safe base64. */
export function newSecret(bytes = 32): string {
  return randomBytes(bytes).toString('base64url')
}

/** SHA-256 of a secret or of bytes, the form in which tokens, challenges and keys are kept. */
export function sha256(data: string | Uint8Array): Buffer {
  return hash('sha256', data, 'buffer')
}
