import { AppError } from '../../kernel/errors.ts'
import { asBuffer, type DecodeErrorCode } from './reader.ts'
import { tlv } from './writer.ts'

const MAX_BER_BYTES = 4 * 1024 * 1024
const MAX_BER_DEPTH = 32
const MAX_BER_ELEMENTS = 20_000

interface Input {
  readonly bytes: Buffer
  readonly code: DecodeErrorCode
  offset: number
  elements: number
}

interface Header {
  tag: number
  length: number | undefined
}

/**
 * Rewrites one BER value (X.690) with the liberties that clients take (indefinite and long-winded lengths,
 * OCTET STRINGs in pieces) to definite minimal lengths and whole OCTET STRINGs; everything else stays as it is.
 * Implicitly tagged strings in pieces stay constructed, since their type is known to the caller alone.
 * Bounded: 4 MiB, 32 levels, 20,000 values. Refuses with `AppError(code)`. What takes no liberties is given back as it is.
 */
export function berToDer(bytes: Uint8Array, code: DecodeErrorCode): Buffer {
  const input: Input = { bytes: asBuffer(bytes), code, offset: 0, elements: 0 }
  if (input.bytes.length > MAX_BER_BYTES) refuse(input, `more than ${MAX_BER_BYTES} bytes`)
  if (isStrict(input.bytes)) return input.bytes
  const der = rewrite(input, input.bytes.length, 0)
  if (input.offset !== input.bytes.length) refuse(input, 'bytes after the end')
  return der
}

/**
 * Whether there is nothing to rewrite in one value: most clients write DER, and to see that costs a tenth of rewriting. What
 * is wrong in any way is left to the rewriting, which says why.
 */
function isStrict(bytes: Buffer): boolean {
  const ends: number[] = []
  let offset = 0
  let end = bytes.length
  for (let elements = 0; elements < MAX_BER_ELEMENTS; elements++) {
    const isSecond = elements > 0 && ends.length === 0
    if (isSecond || offset + 2 > end) return false
    const tag = bytes[offset] ?? 0
    const first = bytes[offset + 1] ?? 0
    const count = first < 0x80 ? 0 : first & 0x7f
    if (tag === 0 || tag === 0x24 || (tag & 0x1f) === 0x1f || first === 0x80 || count > 4) return false
    offset += 2
    if (offset + count > end) return false
    const length = count === 0 ? first : bytes.readUIntBE(offset, count)
    if (count > 0 && (length < 0x80 || length < 2 ** (8 * (count - 1)))) return false
    offset += count
    if (offset + length > end) return false
    if ((tag & 0x20) === 0) offset += length
    else {
      if (ends.length >= MAX_BER_DEPTH) return false
      ends.push(end)
      end = offset + length
    }
    while (offset === end) {
      const outer = ends.pop()
      if (outer === undefined) return true
      end = outer
    }
  }
  return false
}

function rewrite(input: Input, end: number, depth: number): Buffer {
  if (depth > MAX_BER_DEPTH) refuse(input, `nested more than ${MAX_BER_DEPTH} deep`)
  if (++input.elements > MAX_BER_ELEMENTS) refuse(input, `more than ${MAX_BER_ELEMENTS} values`)
  const { tag, length } = readHeader(input, end)
  if ((tag & 0x20) === 0) {
    if (length === undefined) return refuse(input, 'indefinite length of a primitive value')
    input.offset += length
    return tlv(tag, input.bytes.subarray(input.offset - length, input.offset))
  }
  const children = rewriteChildren(
    input,
    length === undefined ? undefined : input.offset + length,
    end,
    depth,
  )
  if (tag === 0x24) return tlv(0x04, ...children.map((child) => octets(input, child)))
  return tlv(tag, ...children)
}

function rewriteChildren(
  input: Input,
  ownEnd: number | undefined,
  outerEnd: number,
  depth: number,
): Buffer[] {
  const children: Buffer[] = []
  const end = ownEnd ?? outerEnd
  while (ownEnd === undefined ? !atEndOfContents(input, end) : input.offset < end) {
    children.push(rewrite(input, end, depth + 1))
  }
  if (ownEnd === undefined) input.offset += 2
  return children
}

function atEndOfContents(input: Input, end: number): boolean {
  if (input.offset + 2 > end) refuse(input, 'indefinite length without its end')
  return input.bytes[input.offset] === 0 && input.bytes[input.offset + 1] === 0
}

function octets(input: Input, child: Buffer): Buffer {
  if (child[0] !== 0x04) refuse(input, 'an OCTET STRING with a piece of another type')
  const first = child[1] ?? 0
  return child.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))
}

function readHeader(input: Input, end: number): Header {
  const { bytes } = input
  if (input.offset + 2 > end) refuse(input, 'ends within a header')
  const tag = bytes[input.offset++] ?? 0
  const first = bytes[input.offset++] ?? 0
  if ((tag & 0x1f) === 0x1f) refuse(input, 'tag numbers above 30 are not used here')
  if (tag === 0) refuse(input, 'end of contents where a value is expected')
  if (first < 0x80) return checked(input, end, { tag, length: first })
  const count = first & 0x7f
  if (count === 0) return { tag, length: undefined }
  if (count > 4) refuse(input, 'length of more than four bytes')
  if (input.offset + count > end) refuse(input, 'ends within a length')
  const length = bytes.readUIntBE(input.offset, count)
  input.offset += count
  return checked(input, end, { tag, length })
}

function checked(input: Input, end: number, header: { tag: number; length: number }): Header {
  if (input.offset + header.length > end) refuse(input, 'longer than its container')
  return header
}

function refuse(input: Input, reason: string): never {
  throw new AppError(input.code, `BER: ${reason}`)
}
