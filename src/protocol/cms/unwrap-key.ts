import { constants, createHash, createHmac, privateDecrypt, type KeyObject } from 'node:crypto'
import type { HashName } from '../x509/index.ts'

/** A content key encrypted to an RSA key. `oaepHash` missing: PKCS#1 v1.5. */
export interface UnwrapRequest {
  readonly key: KeyObject
  readonly encryptedKey: Uint8Array
  /** Bytes that the content cipher wants. */
  readonly keyLength: number
  readonly oaepHash?: HashName
}

/** Decrypts a content key, off the event loop. Never fails on what the sender chose. */
export type UnwrapKey = (request: UnwrapRequest) => Promise<Uint8Array>

/** A copy that shares its memory with nothing: what goes to a thread goes with all of the memory that it is a view of. */
export function apart(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/**
 * Decrypts a content key, blocking. Whatever is wrong with it, the answer is a key of the wanted length that depends on
 * the private key and the input alone (implicit rejection, RFC 3218 and RFC 5246, section 7.4.7.1), made in the same steps,
 * so that neither result nor time tells a bad padding from a wrong key (Bleichenbacher's attack).
 */
export function unwrapKey(request: UnwrapRequest): Buffer {
  const { key, encryptedKey, keyLength, oaepHash } = request
  const { secret, size } = knowledgeOf(key)
  const substitute = createHmac('sha512', secret).update(encryptedKey).digest().subarray(0, keyLength)
  if (oaepHash !== undefined) return decryptOaep(request, oaepHash) ?? substitute
  const block = decryptRaw(key, encryptedKey)
  if (block?.length !== size || size < keyLength + 11) return substitute
  return unpad(block, substitute)
}

/**
 * 00 02, at least eight bytes that are not 00, 00, key (RFC 8017, section 7.2.2). The key's length is known, so the place of
 * the separator is, and every byte is looked at whatever the ones before were.
 */
function unpad(block: Buffer, substitute: Buffer): Buffer {
  const separator = block.length - substitute.length - 1
  let bad = at(block, 0) | (at(block, 1) ^ 2) | at(block, separator)
  for (let index = 2; index < separator; index++) bad |= ((at(block, index) - 1) >> 8) & 1
  const good = (((bad & 0xff) - 1) >> 8) & 0xff
  return Buffer.from(
    substitute.map((byte, index) => (at(block, separator + 1 + index) & good) | (byte & ~good & 0xff)),
  )
}

function at(block: Buffer, index: number): number {
  return block[index] as number
}

function decryptRaw(key: KeyObject, encryptedKey: Uint8Array): Buffer | undefined {
  try {
    return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, encryptedKey)
  } catch {
    return undefined
  }
}

function decryptOaep(
  { key, encryptedKey, keyLength }: UnwrapRequest,
  oaepHash: HashName,
): Buffer | undefined {
  try {
    const decrypted = privateDecrypt(
      { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash },
      encryptedKey,
    )
    return decrypted.length === keyLength ? decrypted : undefined
  } catch {
    return undefined
  }
}

interface Knowledge {
  readonly key: KeyObject
  /** What substitutes are made from. */
  readonly secret: Buffer
  /** Bytes of the modulus. */
  readonly size: number
}

let last: Knowledge | undefined

function knowledgeOf(key: KeyObject): Knowledge {
  // A thread is handed the same key again and again, each time as another object.
  if (last?.key.equals(key) === true) return last
  const secret = createHash('sha256')
    .update(key.export({ format: 'der', type: 'pkcs1' }))
    .digest()
  last = { key, secret, size: Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8) }
  return last
}
