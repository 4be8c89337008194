import { AppError, type ErrorCode } from '../../kernel/errors.ts'

/** The error code with which a reader refuses. */
export type DecodeErrorCode = Extract<
  ErrorCode,
  'cms_invalid' | 'x509_invalid' | 'csr_invalid' | 'scep_invalid'
>

/**
 * One encoded value (X.690). `tag` is the whole identifier octet, `encoded` the value with its header. Both buffers
 * are views of the input. Children are read when asked for, so that what nobody needs costs nothing.
 */
export interface Element {
  readonly tag: number
  readonly content: Buffer
  readonly encoded: Buffer
  readonly depth: number
  readonly code: DecodeErrorCode
}

/** The fields of a constructed value, taken one after the other. `what` names the field in the refusal. */
interface Fields {
  next(tag: number, what: string): Element
  any(what: string): Element
  optional(tag: number): Element | undefined
  end(): void
}

/** Identifier octets of the universal types, and of constructed context-specific ones by number. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  context: (number: number) => 0xa0 + number,
  contextPrimitive: (number: number) => 0x80 + number,
} as const

const MAX_DER_BYTES = 16 * 1024 * 1024
const MAX_DER_DEPTH = 32

/** Refuses with the code that the element's reader was given. */
export function refuse(element: { code: DecodeErrorCode }, reason: string): never {
  throw new AppError(element.code, reason)
}

/**
 * Reads exactly one DER value: definite and minimal lengths, low tag numbers, nothing after it. At most `maxBytes`
 * (default 16 MiB), nested at most 32 deep. Refuses with `AppError(code)`.
 */
export function decodeDer(
  bytes: Uint8Array,
  code: DecodeErrorCode,
  maxBytes: number = MAX_DER_BYTES,
): Element {
  const buffer = asBuffer(bytes)
  if (buffer.length > maxBytes) throw new AppError(code, `ASN.1: more than ${maxBytes} bytes`)
  const element = readAt(buffer, 0, code, 0)
  if (element.encoded.length !== buffer.length) throw new AppError(code, 'ASN.1: bytes after the end')
  return element
}

/** The values inside a constructed one. */
export function childrenOf(element: Element, what: string): Element[] {
  if ((element.tag & 0x20) === 0) refuse(element, `ASN.1: ${what} is not constructed`)
  const { content, code } = element
  const depth = element.depth + 1
  if (depth > MAX_DER_DEPTH) refuse(element, `ASN.1: nested more than ${MAX_DER_DEPTH} deep`)
  const children: Element[] = []
  for (let offset = 0; offset < content.length;) {
    const child = readAt(content, offset, code, depth)
    children.push(child)
    offset += child.encoded.length
  }
  return children
}

/** Opens a constructed value of the given tag and hands out its fields in order. */
export function fieldsOf(element: Element, tag: number, what: string): Fields {
  expectTag(element, tag, what)
  const children = childrenOf(element, what)
  let index = 0
  const any = (name: string): Element => children[index++] ?? refuse(element, `ASN.1: ${what} lacks ${name}`)
  return {
    any,
    next: (wanted, name) => expectTag(any(name), wanted, name),
    optional: (wanted) => (children[index]?.tag === wanted ? children[index++] : undefined),
    end: () => {
      if (index < children.length) refuse(element, `ASN.1: ${what} has a field too many`)
    },
  }
}

/** The element itself when it has the tag, else a refusal. */
export function expectTag(element: Element, tag: number, what: string): Element {
  if (element.tag === tag) return element
  return refuse(element, `ASN.1: ${what} has tag 0x${element.tag.toString(16)}, not 0x${tag.toString(16)}`)
}

/** A Buffer view of the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function readAt(buffer: Buffer, offset: number, code: DecodeErrorCode, depth: number): Element {
  const tag = buffer[offset]
  const first = buffer[offset + 1]
  if (tag === undefined || first === undefined) throw new AppError(code, 'ASN.1: ends within a header')
  if ((tag & 0x1f) === 0x1f) throw new AppError(code, 'ASN.1: tag numbers above 30 are not used here')
  let start = offset + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0) throw new AppError(code, 'ASN.1: indefinite length')
    if (count > 4) throw new AppError(code, 'ASN.1: length of more than four bytes')
    if (start + count > buffer.length) throw new AppError(code, 'ASN.1: ends within a length')
    length = buffer.readUIntBE(start, count)
    if (length < 0x80 || buffer[start] === 0) throw new AppError(code, 'ASN.1: length is not minimal')
    start += count
  }
  const end = start + length
  if (end > buffer.length) throw new AppError(code, 'ASN.1: longer than its container')
  return { tag, content: buffer.subarray(start, end), encoded: buffer.subarray(offset, end), depth, code }
}
