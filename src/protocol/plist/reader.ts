import { isUtf8 } from 'node:buffer'
import { readBinaryPlist } from './binary-reader.ts'
import { DEFAULT_LIMITS, refuse, type PlistLimits, type PlistValue } from './value.ts'
import { readXmlPlist } from './xml-reader.ts'

/**
 * Reads an XML or a binary property list; which one is told by its first bytes. XML is UTF-8, or UTF-16 with a byte
 * order mark.
 *
 * Choices where implementations differ: of a key given twice the last value counts; U+0000 within a text is kept
 * (Apple's own writer lets control characters through), but `&#0;` is refused; keys that look like array indexes
 * come first in a dictionary, as in every object of the language. Refused are entity declarations, invalid UTF-8
 * or UTF-16 anywhere, trailing bytes, UIDs and sets of binary lists, and whatever is beyond the limits.
 *
 * `binaryReal` may give the reals of the binary form another value. Throws `plist_invalid` with the reason.
 */
export function parsePlist(
  bytes: Uint8Array,
  limits: Partial<PlistLimits> = {},
  binaryReal?: (real: number) => PlistValue,
): PlistValue {
  const bounds = { ...DEFAULT_LIMITS, ...limits }
  if (bytes.length > bounds.maxBytes) refuse(`larger than ${bounds.maxBytes} bytes`)
  const buffer = asBuffer(bytes)
  if (isBinary(buffer)) return readBinaryPlist(buffer, bounds, binaryReal)
  const { text, isWide } = decode(buffer)
  return readXmlPlist(text, bounds, isWide)
}

/** The text of an XML property list, which may begin with a byte order mark; undefined for a binary one. */
export function textOfPlist(bytes: Uint8Array): string | undefined {
  const buffer = asBuffer(bytes)
  return isBinary(buffer) ? undefined : decode(buffer).text
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function isBinary(buffer: Buffer): boolean {
  return buffer.toString('latin1', 0, 6) === 'bplist'
}

function decode(buffer: Buffer): { text: string; isWide: boolean } {
  const wide = decodeUtf16(buffer)
  if (wide !== undefined) return { text: wide, isWide: true }
  if (!isUtf8(buffer)) refuse('not valid UTF-8')
  return { text: buffer.toString('utf8'), isWide: false }
}

/** The text behind a UTF-16 byte order mark, the mark included; undefined when there is none. */
function decodeUtf16(buffer: Buffer): string | undefined {
  const mark = buffer.length >= 2 ? buffer.readUInt16BE(0) : 0
  if (mark !== 0xfeff && mark !== 0xfffe) return undefined
  if (buffer.length % 2 !== 0) refuse('not valid UTF-16')
  const text = mark === 0xfffe ? buffer.toString('utf16le') : Buffer.from(buffer).swap16().toString('utf16le')
  return text.isWellFormed() ? text : refuse('not valid UTF-16')
}
