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

/** A random secret of `bytes` bytes (default 32) in URL-safe base64. */
export function newSecret(bytes = 32): string {
  return randomBytes(bytes).toString('base64url')
}

/** SHA-256 of a secret or of bytes, the form in which tokens, challenges and keys are kept. */
export function sha256(data: string | Uint8Array): Buffer {
  return hash('sha256', data, 'buffer')
}
