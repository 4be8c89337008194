import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { Certificate } from './certificate.ts'

const generate = promisify(generateKeyPair)

/** Makes an RSA private key on the thread pool; the public half is inside. */
export async function generateRsaKey(bits = 2048): Promise<KeyObject> {
  return (await generate('rsa', { modulusLength: bits })).privateKey
}

/** Makes a private key on curve P-256. */
export async function generateEcKey(): Promise<KeyObject> {
  return (await generate('ec', { namedCurve: 'prime256v1' })).privateKey
}

/** To derive a public key takes a good part of the time of a signature, and one private key asks for many certificates. */
const derived = new WeakMap<KeyObject, Buffer>()

/** SubjectPublicKeyInfo, DER, of a public or private key; the bytes are shared. */
export function spkiOf(key: KeyObject): Buffer {
  const before = derived.get(key)
  if (before !== undefined) return before
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  derived.set(key, spki)
  return spki
}

/** Whether the private key belongs to the certificate. */
export function keyMatches(certificate: Certificate, key: KeyObject): boolean {
  return certificate.publicKey().equals(key.type === 'private' ? createPublicKey(key) : key)
}

/** A private key as PKCS#8 in PEM, not encrypted. */
export function keyToPem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}
