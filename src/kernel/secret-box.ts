import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  randomBytes,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { AppError } from './errors.ts'

/*
 * A record is: version (1 byte), key id (8), nonce (12), ciphertext, tag (16). The version, the key id and the
 * caller's context are authenticated with it. Nonces are random, which AES-GCM allows for 2^32 records a key
 * (NIST SP 800-38D, section 8.3).
 */
const BOX_VERSION = 1
const BOX_KEY_BYTES = 32
const KEY_ID_BYTES = 8
const BOX_NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = 1 + KEY_ID_BYTES
const CIPHERTEXT_AT = HEADER_BYTES + BOX_NONCE_BYTES

/** Seals secrets at rest with AES-256-GCM. */
export type SecretBox = ReturnType<typeof createSecretBox>

function keyIdOf(key: Uint8Array): Buffer {
  return createHash('sha256')
    .update('firstboot secret box, key id\0')
    .update(key)
    .digest()
    .subarray(0, KEY_ID_BYTES)
}

function additionalData(header: Uint8Array, context: string): Buffer {
  return Buffer.concat([header, Buffer.from(context, 'utf8')])
}

function headerOf(sealed: Uint8Array): Buffer {
  if (sealed.length < CIPHERTEXT_AT + TAG_BYTES || sealed[0] !== BOX_VERSION) {
    throw new AppError('internal', 'This is not a sealed secret.')
  }
  return Buffer.from(sealed.subarray(0, HEADER_BYTES))
}

/** A box that seals with `key` and opens what `key` or `previous` sealed; both are 32 bytes. */
export function createSecretBox(keys: { key: Uint8Array; previous?: Uint8Array | null }) {
  const known = [keys.key, ...(keys.previous ? [keys.previous] : [])].map((key) => {
    if (key.length !== BOX_KEY_BYTES)
      throw new AppError('internal', `A secret key must have ${BOX_KEY_BYTES} bytes.`)
    // To a cipher node:crypto gives a key object in a third of the time that it takes for bytes.
    return { key: createSecretKey(key), id: keyIdOf(key) }
  })
  const current = createSecretKey(keys.key)
  const currentHeader = Buffer.concat([Buffer.of(BOX_VERSION), keyIdOf(keys.key)])
  return {
    /** `context` says what the secret is and whose, e.g. `push_certificates.key:<topic>`; it is needed to open again. */
    seal(plain: Uint8Array, context: string): Buffer {
      const nonce = randomBytes(BOX_NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', current, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(additionalData(currentHeader, context))
      return Buffer.concat([currentHeader, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    /** Throws AppError `internal` for a key we do not have, another context, or a record that was changed. */
    open(sealed: Uint8Array, context: string): Buffer {
      const header = headerOf(sealed)
      const key = known.find(({ id }) => header.subarray(1).equals(id))?.key
      if (key === undefined) {
        throw new AppError(
          'internal',
          `A secret was sealed with a key that is not configured (key id ${header.toString('hex', 1)}).`,
        )
      }
      return decrypt(key, header, sealed, context)
    },
    /** A keyed hash (HMAC-SHA-256): of what is counted and not to be known from the database. Another one for another key. */
    mac: (text: string): Buffer =>
      createHmac('sha256', current).update('firstboot secret box, mac\0').update(text).digest(),
    /** Whether it was sealed with another key than the present one. */
    needsReseal: (sealed: Uint8Array) => !headerOf(sealed).equals(currentHeader),
    /** The first bytes of everything that the present key seals, and of nothing else. */
    header: currentHeader,
  }
}

function decrypt(key: KeyObject, header: Uint8Array, sealed: Uint8Array, context: string): Buffer {
  const nonce = sealed.subarray(HEADER_BYTES, CIPHERTEXT_AT)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(additionalData(header, context))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(CIPHERTEXT_AT, -TAG_BYTES)), decipher.final()])
  } catch (error) {
    throw new AppError('internal', 'A sealed secret was changed, or belongs somewhere else.', {
      cause: error,
    })
  }
}
