import type { PlistDict, PlistValue } from '../../../protocol/plist/index.ts'
import { refuse, textOf, urlOf } from '../../wire/strict-reading.ts'

/** A SCEP payload's settings. https://developer.apple.com/documentation/devicemanagement/scep */
export type ScepSettings = ReturnType<typeof readScepSettings>

const WHERE = 'com.apple.security.scep'
const FINGERPRINT_SIZES = [16, 20, 32]
const DEFAULT_RETRIES = 3

/** Reads the `PayloadContent` of a SCEP payload; refuses `message_invalid` with the key that is wrong. */
export function readScepSettings(content: PlistDict) {
  if (content['Key Type'] !== undefined && content['Key Type'] !== 'RSA')
    refuse(`${WHERE}: Key Type is not RSA`)
  if (content['Keysize'] !== 2048) refuse(`${WHERE}: Keysize is not 2048`)
  return {
    url: urlOf(content, 'URL', WHERE, true),
    name: content['Name'] === undefined ? undefined : textOf(content, 'Name', WHERE),
    challenge: textOf(content, 'Challenge', WHERE),
    /** Pairs of attribute type (short name or dotted OID) and value, in order. */
    subject: readSubject(content['Subject'] ?? []),
    keyUsage: readKeyUsage(content['Key Usage'] ?? 0),
    caFingerprint: readFingerprint(content['CAFingerprint']),
    retries: readRetries(content['Retries'] ?? DEFAULT_RETRIES),
  }
}

function readSubject(value: PlistValue): [string, string][] {
  if (!Array.isArray(value)) return refuse(`${WHERE}: Subject is not an array`)
  return value.map((rdn) => {
    const pair = Array.isArray(rdn) && rdn.length === 1 ? rdn[0] : undefined
    const [type, text] = Array.isArray(pair) && pair.length === 2 ? pair : []
    if (typeof type !== 'string' || typeof text !== 'string' || text === '') {
      return refuse(`${WHERE}: Subject is not a list of [[type, value]]`)
    }
    if (!/^(C|L|ST|O|OU|CN|[0-2](\.\d+)+)$/.test(type)) refuse(`${WHERE}: Subject holds the type ${type}`)
    return [type, text]
  })
}

function readKeyUsage(value: PlistValue): ('digitalSignature' | 'keyEncipherment')[] {
  switch (value) {
    case 0:
    case 1:
      return ['digitalSignature']
    case 4:
      return ['keyEncipherment']
    case 5:
      return ['digitalSignature', 'keyEncipherment']
    default:
      return refuse(`${WHERE}: Key Usage is none of 0, 1, 4 and 5`)
  }
}

function readFingerprint(value: PlistValue | undefined): Buffer | undefined {
  if (value === undefined) return undefined
  if (!(value instanceof Uint8Array) || !FINGERPRINT_SIZES.includes(value.length)) {
    return refuse(`${WHERE}: CAFingerprint is no MD5, SHA-1 or SHA-256`)
  }
  return Buffer.from(value)
}

function readRetries(value: PlistValue): number {
  return typeof value === 'number' && value >= 0 ? value : refuse(`${WHERE}: Retries is not a number`)
}
