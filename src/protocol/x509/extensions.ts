import {
  OID,
  TAG,
  bitString,
  boolean,
  childrenOf,
  contextPrimitive,
  decodeDer,
  expectTag,
  fieldsOf,
  integer,
  octetString,
  oid,
  readBitString,
  readBoolean,
  readOctetString,
  readOid,
  readSmallInteger,
  refuse,
  sequence,
} from '../asn1/index.ts'
import type { Element } from '../asn1/index.ts'

/** One extension; `value` is the DER inside its OCTET STRING. */
interface Extension {
  readonly critical: boolean
  readonly value: Buffer
}

/** Extensions by dotted OID. */
export type Extensions = ReadonlyMap<string, Extension>

/** Bits of the key usage extension in their order (RFC 5280, section 4.2.1.3). */
const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

/** What a key may be used for. */
export type KeyUsage = (typeof KEY_USAGES)[number]

/** A subject alternative name. `ip` is the address in its usual notation. */
export interface AlternativeName {
  readonly type: 'email' | 'dns' | 'uri' | 'ip'
  readonly value: string
}

const NAME_TAGS = { email: 1, dns: 2, uri: 6, ip: 7 } as const

/** Reads Extensions; each may be there once. */
export function readExtensions(element: Element): Extensions {
  const extensions = new Map<string, Extension>()
  for (const item of childrenOf(expectTag(element, TAG.sequence, 'extensions'), 'extensions')) {
    const fields = fieldsOf(item, TAG.sequence, 'extension')
    const type = readOid(fields.any('type'), 'extension type')
    const flag = fields.optional(TAG.boolean)
    const critical = flag !== undefined && readBoolean(flag, 'critical')
    const value = readOctetString(fields.any('value'), 'extension value')
    fields.end()
    if (extensions.has(type)) refuse(element, `extension ${type} is there twice`)
    extensions.set(type, { critical, value })
  }
  return extensions
}

/** One encoded Extension. */
export function encodeExtension(type: string, critical: boolean, value: Uint8Array): Buffer {
  return critical
    ? sequence(oid(type), boolean(true), octetString(value))
    : sequence(oid(type), octetString(value))
}

/** Basic constraints; a missing extension means no CA. */
export function readBasicConstraints(
  extensions: Extensions,
  from: Element,
): { isCa: boolean; pathLength?: number } {
  const value = open(extensions, OID.basicConstraints, from)
  if (value === undefined) return { isCa: false }
  const fields = fieldsOf(value, TAG.sequence, 'basic constraints')
  const flag = fields.optional(TAG.boolean)
  const length = fields.optional(TAG.integer)
  fields.end()
  const isCa = flag !== undefined && readBoolean(flag, 'CA flag')
  return length === undefined ? { isCa } : { isCa, pathLength: readSmallInteger(length, 'path length') }
}

/** Key usage; undefined when the certificate does not restrict it. */
export function readKeyUsage(extensions: Extensions, from: Element): ReadonlySet<KeyUsage> | undefined {
  const value = open(extensions, OID.keyUsage, from)
  if (value === undefined) return undefined
  const bits = readBitString(value, 'key usage')
  return new Set(KEY_USAGES.filter((_, index) => ((bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0))
}

/** Extended key usage as dotted OIDs; undefined when not restricted. */
export function readExtendedKeyUsage(extensions: Extensions, from: Element): readonly string[] | undefined {
  const value = open(extensions, OID.extendedKeyUsage, from)
  if (value === undefined) return undefined
  return childrenOf(expectTag(value, TAG.sequence, 'extended key usage'), 'extended key usage').map((usage) =>
    readOid(usage, 'key purpose'),
  )
}

/** The subject key identifier, in hex. */
export function readSubjectKeyId(extensions: Extensions, from: Element): string | undefined {
  const value = open(extensions, OID.subjectKeyIdentifier, from)
  return value === undefined ? undefined : readOctetString(value, 'subject key identifier').toString('hex')
}

/** The subject alternative names of the four usual types; others are passed over. */
export function readAlternativeNames(extensions: Extensions, from: Element): readonly AlternativeName[] {
  const value = open(extensions, OID.subjectAltName, from)
  if (value === undefined) return []
  const names: AlternativeName[] = []
  for (const { tag, content } of childrenOf(
    expectTag(value, TAG.sequence, 'alternative names'),
    'alternative names',
  )) {
    if (tag === TAG.contextPrimitive(1)) names.push({ type: 'email', value: content.toString('latin1') })
    if (tag === TAG.contextPrimitive(2)) names.push({ type: 'dns', value: content.toString('latin1') })
    if (tag === TAG.contextPrimitive(6)) names.push({ type: 'uri', value: content.toString('latin1') })
    if (tag === TAG.contextPrimitive(7)) names.push({ type: 'ip', value: formatAddress(content) })
  }
  return names
}

/** Value of a key usage extension. */
export function encodeKeyUsage(usages: readonly KeyUsage[]): Buffer {
  const bits = usages.reduce((sum, usage) => sum | (0x8000 >> KEY_USAGES.indexOf(usage)), 0)
  const bytes = (bits & 0xff) === 0 ? Buffer.of(bits >> 8) : Buffer.of(bits >> 8, bits & 0xff)
  const last = bytes.at(-1) ?? 0
  return bitString(
    bytes,
    last === 0 ? 0 : Math.clz32(last & -last) === 31 ? 0 : 31 - Math.clz32(last & -last),
  )
}

/** Value of an extended key usage extension. */
export function encodeExtendedKeyUsage(purposes: readonly string[]): Buffer {
  return sequence(...purposes.map((purpose) => oid(purpose)))
}

/** Value of a basic constraints extension. */
export function encodeBasicConstraints(ca: { pathLength?: number } | undefined): Buffer {
  if (ca === undefined) return sequence()
  return ca.pathLength === undefined
    ? sequence(boolean(true))
    : sequence(boolean(true), integer(ca.pathLength))
}

/** Value of a subject alternative name extension. */
export function encodeAlternativeNames(names: readonly AlternativeName[]): Buffer {
  return sequence(
    ...names.map(({ type, value }) =>
      contextPrimitive(NAME_TAGS[type], type === 'ip' ? parseAddress(value) : Buffer.from(value, 'latin1')),
    ),
  )
}

function open(extensions: Extensions, type: string, from: Element): Element | undefined {
  const extension = extensions.get(type)
  return extension === undefined ? undefined : decodeDer(extension.value, from.code)
}

function parseAddress(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number))
  const [head = '', tail] = text.split('::')
  const groups = (part: string): string[] => part.split(':').filter((group) => group !== '')
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const middle = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return Buffer.from([...before, ...middle, ...after].map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function formatAddress(bytes: Buffer): string {
  if (bytes.length !== 16) return [...bytes].join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  return groups.join(':')
}
