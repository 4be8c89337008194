import { createHash, randomBytes, randomUUID } from 'node:crypto'

/**
 * A new opaque id: a UUID of version 7 (RFC 9562, section 5.7), so that ids sort by the time they were made.
 */
export function newId(now: Date): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now.getTime(), 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
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
  return createHash('sha256').update(data).digest()
}
