import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { OID, algorithm, octetString, readAlgorithm, readOctetString, refuse } from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'

/** Content ciphers of envelopes, by the names of node:crypto. */
export type ContentCipher = 'des-cbc' | 'des-ede3-cbc' | 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc'

const CONTENT_CIPHERS: Record<ContentCipher, { oid: string; keyLength: number; block: 8 | 16 }> = {
  'des-cbc': { oid: OID.desCbc, keyLength: 8, block: 8 },
  'des-ede3-cbc': { oid: OID.desEde3Cbc, keyLength: 24, block: 8 },
  'aes-128-cbc': { oid: OID.aes128Cbc, keyLength: 16, block: 16 },
  'aes-192-cbc': { oid: OID.aes192Cbc, keyLength: 24, block: 16 },
  'aes-256-cbc': { oid: OID.aes256Cbc, keyLength: 32, block: 16 },
}

const BY_OID = new Map(Object.entries(CONTENT_CIPHERS).map(([name, { oid }]) => [oid, name as ContentCipher]))

/** Bytes of a key of the cipher. */
export function keyLengthOf(cipher: ContentCipher): number {
  return CONTENT_CIPHERS[cipher].keyLength
}

/** Reads the AlgorithmIdentifier of a content cipher with its initialisation vector. */
export function readCipher(element: Element): { cipher: ContentCipher; iv: Buffer } {
  const { oid, parameters } = readAlgorithm(element, 'content cipher')
  const cipher = BY_OID.get(oid)
  if (cipher === undefined || parameters === undefined)
    return refuse(element, `content cipher ${oid} is not supported`)
  const iv = readOctetString(parameters, 'initialisation vector')
  if (iv.length !== CONTENT_CIPHERS[cipher].block)
    refuse(element, 'the initialisation vector has a wrong length')
  return { cipher, iv }
}

/** Encrypts with a new key and vector, padded as CMS asks (RFC 5652, section 6.3). */
export function encryptContent(cipher: ContentCipher, content: Uint8Array) {
  const { oid, keyLength, block } = CONTENT_CIPHERS[cipher]
  const key = randomBytes(keyLength)
  const iv = randomBytes(block)
  const engine = createCipheriv(engineOf(cipher), engineKey(cipher, key), iv)
  const encrypted = Buffer.concat([engine.update(content), engine.final()])
  return { key, identifier: algorithm(oid, octetString(iv)), encrypted }
}

/** Decrypts; undefined for whatever is wrong with length, key or padding. */
export function decryptContent(
  cipher: ContentCipher,
  key: Uint8Array,
  iv: Uint8Array,
  encrypted: Uint8Array,
) {
  try {
    const engine = createDecipheriv(engineOf(cipher), engineKey(cipher, key), iv)
    return Buffer.concat([engine.update(encrypted), engine.final()])
  } catch {
    return undefined
  }
}

// OpenSSL 3 has no single DES outside its legacy provider; triple DES with one key three times is the same function.
function engineOf(cipher: ContentCipher): string {
  return cipher === 'des-cbc' ? 'des-ede3-cbc' : cipher
}

// A key object, since node:crypto takes longer to find out that bytes are none than to make one.
function engineKey(cipher: ContentCipher, key: Uint8Array): KeyObject {
  return createSecretKey(cipher === 'des-cbc' ? Buffer.concat([key, key, key]) : key)
}
