import { ownCopy } from '../../kernel/bytes.ts'
import { TAG } from './reader.ts'

/** Nearly all identifiers are those of a few dozen constants. */
const MAX_KNOWN = 256
const known = new Map<string, Buffer>()

/** One DER value: the identifier octet, the minimal length, the parts. */
export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = lengthOf(parts)
  const start = headerLength(length)
  const bytes = Buffer.allocUnsafe(start + length)
  writeHeader(bytes, tag, length)
  let offset = start
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/**
 * The same, not yet joined: the header, then the parts as they are. For large contents with several values around them, each of
 * which would copy all of it.
 */
export function wrap(tag: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const length = lengthOf(parts)
  const header = Buffer.allocUnsafe(headerLength(length))
  writeHeader(header, tag, length)
  return [header, ...parts]
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0
  for (const part of parts) length += part.length
  return length
}

function headerLength(length: number): number {
  let more = 0
  if (length >= 0x80) while (length >= 256 ** more) more++
  return 2 + more
}

function writeHeader(bytes: Buffer, tag: number, length: number): void {
  const more = headerLength(length) - 2
  bytes[0] = tag
  bytes[1] = more === 0 ? length : 0x80 + more
  if (more > 0) bytes.writeUIntBE(length, 2, more)
}

/** SEQUENCE or SEQUENCE OF. */
export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.sequence, ...parts)
}

/** SET OF: the elements are sorted as DER asks (X.690, 11.6). */
export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.set, ...sorted(parts))
}

/** The elements in the order of a DER SET OF. */
export function sorted(parts: readonly Uint8Array[]): Uint8Array[] {
  return parts.toSorted((a, b) => Buffer.compare(a, b))
}

/** `[number] EXPLICIT`, or `[number] IMPLICIT` of a constructed type when the parts are its contents. */
export function context(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return tlv(TAG.context(number), ...parts)
}

/** `[number] IMPLICIT` of a primitive type. */
export function contextPrimitive(number: number, content: Uint8Array): Buffer {
  return tlv(TAG.contextPrimitive(number), content)
}

/** INTEGER: a small number, or the big-endian bytes of a non-negative one. */
export function integer(value: number | Uint8Array): Buffer {
  const bytes = typeof value === 'number' ? numberBytes(value) : Buffer.from(value)
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const minimal = bytes.subarray(start)
  return (minimal[0] ?? 0) >= 0x80 ? tlv(TAG.integer, Buffer.of(0), minimal) : tlv(TAG.integer, minimal)
}

/** OBJECT IDENTIFIER from its dotted form; the bytes are shared. */
export function oid(dotted: string): Buffer {
  const before = known.get(dotted)
  if (before !== undefined) return before
  const made = ownCopy(encodeOid(dotted))
  if (known.size < MAX_KNOWN) known.set(dotted, made)
  return made
}

function encodeOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tlv(TAG.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

/** AlgorithmIdentifier; without parameters they are left out, which ECDSA asks for. */
export function algorithm(dotted: string, parameters?: Uint8Array): Buffer {
  return parameters === undefined ? sequence(oid(dotted)) : sequence(oid(dotted), parameters)
}

/** NULL. */
export function nullValue(): Buffer {
  return tlv(TAG.null)
}

/** BOOLEAN. */
export function boolean(value: boolean): Buffer {
  return tlv(TAG.boolean, Buffer.of(value ? 0xff : 0))
}

/** OCTET STRING. */
export function octetString(bytes: Uint8Array): Buffer {
  return tlv(TAG.octetString, bytes)
}

/** BIT STRING of whole bytes, or with some unused bits at the end. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tlv(TAG.bitString, Buffer.of(unusedBits), bytes)
}

/** UTF8String. */
export function utf8String(text: string): Buffer {
  return tlv(TAG.utf8String, Buffer.from(text, 'utf8'))
}

/** PrintableString; the caller keeps to its characters. */
export function printableString(text: string): Buffer {
  return tlv(TAG.printableString, Buffer.from(text, 'latin1'))
}

/** IA5String; the caller keeps to ASCII. */
export function ia5String(text: string): Buffer {
  return tlv(TAG.ia5String, Buffer.from(text, 'latin1'))
}

/** Time in whole seconds: UTCTime until 2049, GeneralizedTime after (RFC 5280, section 4.1.2.5). */
export function time(date: Date): Buffer {
  const iso = date.toISOString()
  const [day, clock] = [iso.slice(0, -14), iso.slice(-13, -5)]
  const digits = `${day.replaceAll('-', '')}${clock.replaceAll(':', '')}Z`
  const year = date.getUTCFullYear()
  if (year >= 1950 && year < 2050) return tlv(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
  return tlv(TAG.generalizedTime, Buffer.from(digits, 'latin1'))
}

function numberBytes(value: number): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

function base128(arc: number): number[] {
  const bytes = [arc % 128]
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift((rest % 128) + 128)
  return bytes
}
