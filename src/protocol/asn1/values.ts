import { TAG, expectTag, fieldsOf, refuse, type Element } from './reader.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Nearly all identifiers that are read are those of a few dozen algorithms and attributes. */
const MAX_KNOWN = 256
const known = new Map<string, string>()

/** OBJECT IDENTIFIER in its dotted form. */
export function readOid(element: Element, what: string): string {
  const { content } = expectTag(element, TAG.oid, what)
  const key = content.toString('latin1')
  const before = known.get(key)
  if (before !== undefined) return before
  const dotted = decodeOid(element, content, what)
  if (known.size < MAX_KNOWN) known.set(key, dotted)
  return dotted
}

function decodeOid(element: Element, content: Buffer, what: string): string {
  const last = content.at(-1)
  if (last === undefined || last >= 0x80 || content.length > 64) refuse(element, `ASN.1: ${what} is no OID`)
  const arcs: number[] = []
  let arc = 0
  let fresh = true
  for (const byte of content) {
    if (fresh && byte === 0x80) refuse(element, `ASN.1: ${what} is not minimal`)
    arc = arc * 128 + (byte & 0x7f)
    if (!Number.isSafeInteger(arc)) refuse(element, `ASN.1: ${what} has an arc too large`)
    fresh = byte < 0x80
    if (fresh) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [head = 0, ...tail] = arcs
  const first = Math.min(2, Math.floor(head / 40))
  return [first, head - first * 40, ...tail].join('.')
}

/** The bytes of an INTEGER, checked to be minimal. */
export function readInteger(element: Element, what: string): Buffer {
  const { content } = expectTag(element, TAG.integer, what)
  const [first, second = 0] = content
  if (first === undefined) refuse(element, `ASN.1: ${what} is empty`)
  const padded = content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
  if (padded) refuse(element, `ASN.1: ${what} is not minimal`)
  return content
}

/** A non-negative INTEGER of up to four bytes as a number. */
export function readSmallInteger(element: Element, what: string): number {
  const content = readInteger(element, what)
  if (content.length > 4 || (content[0] ?? 0) >= 0x80) refuse(element, `ASN.1: ${what} is out of range`)
  return content.readUIntBE(0, content.length)
}

/** BOOLEAN as DER writes it: 00 or ff. */
export function readBoolean(element: Element, what: string): boolean {
  const { content } = expectTag(element, TAG.boolean, what)
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    refuse(element, `ASN.1: ${what} is no BOOLEAN`)
  return content[0] === 0xff
}

/** The bytes of an OCTET STRING. */
export function readOctetString(element: Element, what: string): Buffer {
  return expectTag(element, TAG.octetString, what).content
}

/** The bytes of a BIT STRING; unused bits must be zero. */
export function readBitString(element: Element, what: string): Buffer {
  const { content } = expectTag(element, TAG.bitString, what)
  const unused = content[0] ?? 8
  const last = content.at(-1) ?? 0
  if (
    unused > 7 ||
    (content.length === 1 && unused > 0) ||
    (content.length > 1 && (last & ((1 << unused) - 1)) !== 0)
  ) {
    refuse(element, `ASN.1: ${what} is no BIT STRING`)
  }
  return content.subarray(1)
}

/**
 * The bytes of a BIT STRING of whole octets, as signatures and keys are: a count of unused bits would be a second
 * spelling of the same signature.
 */
export function readOctetBits(element: Element, what: string): Buffer {
  const bytes = readBitString(element, what)
  return element.content[0] === 0 ? bytes : refuse(element, `ASN.1: ${what} is not made of whole octets`)
}

/** Any of the character string types as text. */
export function readText(element: Element, what: string): string {
  const { tag, content } = element
  if (tag === TAG.utf8String) {
    try {
      return utf8.decode(content)
    } catch {
      return refuse(element, `ASN.1: ${what} is not UTF-8`)
    }
  }
  if (tag === TAG.printableString || tag === TAG.ia5String || tag === TAG.t61String)
    return content.toString('latin1')
  if (tag === TAG.bmpString && content.length % 2 === 0)
    return Buffer.from(content).swap16().toString('utf16le')
  return refuse(element, `ASN.1: ${what} is no character string`)
}

/** UTCTime or GeneralizedTime, in UTC with seconds (RFC 5280, section 4.1.2.5). */
export function readTime(element: Element, what: string): Date {
  const text = element.content.toString('latin1')
  let digits = text
  if (element.tag === TAG.utcTime) digits = (Number(text.slice(0, 2)) < 50 ? '20' : '19') + text
  else expectTag(element, TAG.generalizedTime, what)
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits)
  if (parts === null) return refuse(element, `ASN.1: ${what} is no time in UTC`)
  const [, year, month, day, hour, minute, second] = parts
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(date.getTime())) refuse(element, `ASN.1: ${what} is no date`)
  return date
}

/** AlgorithmIdentifier; `parameters` is missing when absent or NULL. */
export function readAlgorithm(
  element: Element,
  what: string,
): { oid: string; parameters: Element | undefined } {
  const fields = fieldsOf(element, TAG.sequence, what)
  const oid = readOid(fields.any('algorithm'), `${what} algorithm`)
  if (fields.optional(TAG.null) !== undefined) {
    fields.end()
    return { oid, parameters: undefined }
  }
  let parameters: Element | undefined
  for (const tag of [TAG.sequence, TAG.octetString, TAG.oid]) parameters ??= fields.optional(tag)
  fields.end()
  return { oid, parameters }
}
