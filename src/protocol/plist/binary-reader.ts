import { AppError } from '../../kernel/errors.ts'
import { createDict, narrowInteger, refuse, type PlistLimits, type PlistValue } from './value.ts'

/** Seconds between 1970 and 2001, where Apple's dates start. */
const APPLE_EPOCH = 978_307_200

const TRAILER_BYTES = 32
/** Members of a damaged dictionary that are looked at. */
const MOST_SALVAGED = 1_000

/**
 * What shared objects may make of a document, as JSON: this many bytes for each of its own. Lists of Apple's devices, whose
 * keys are shared by all items, reach a quarter of it.
 */
const MAX_EXPANSION = 16
/** Bytes of a number and a date in JSON, at most. */
const NUMBER_SIZE = 24
const DATE_SIZE = 34

/** Where the reader of the binary form stands (Apple's CFBinaryPList.c describes the format). */
interface BinaryReader {
  readonly bytes: Buffer
  readonly limits: PlistLimits
  readonly offsetSize: number
  readonly refSize: number
  readonly objectCount: number
  readonly tableStart: number
  readonly scalars: Map<number, { value: PlistValue; size: number }>
  readonly real: (value: number) => PlistValue
  nodes: number
  /** What the scalars met so far are in JSON, shared ones each time. */
  expanded: number
}

/**
 * Reads the binary form. A container that is referenced twice is read, and counted, twice: there are never more values than
 * bytes, as each reference has one at least and no writer shares containers.
 */
export function readBinaryPlist(
  bytes: Buffer,
  limits: PlistLimits,
  real?: (value: number) => PlistValue,
): PlistValue {
  const { reader, root } = openBinaryPlist(bytes, limits, real)
  return readObject(reader, root, 1)
}

/**
 * Reads the members of a dictionary each by itself: null where one cannot be read. Once there was more than the limits
 * allow, only what is no container. Undefined when there is no dictionary.
 */
export function salvageBinaryPlist(
  bytes: Buffer,
  limits: PlistLimits,
): Record<string, PlistValue | null> | undefined {
  const dict: Record<string, PlistValue | null> = createDict()
  const isDone = attempt(() => {
    const { reader, root } = openBinaryPlist(bytes, limits)
    const offset = readCount(bytes, reader.tableStart + root * reader.offsetSize, reader.offsetSize)
    const marker = bytes.readUInt8(offset)
    if (marker >> 4 !== 0xd) refuse('not a dictionary', offset)
    const { count, start } = readLength(reader, marker, offset)
    const { refSize: width } = reader
    if (start + count * width * 2 > reader.tableStart) refuse('container is longer than the document', offset)
    // What is left after a member that used all up is enough for those that are no containers, once more.
    const spare = { ...reader, limits: { ...reader.limits, maxNodes: 2, maxDepth: 1 } }
    const readAt = (index: number): PlistValue | undefined => {
      const ref = readCount(bytes, start + index * width, width)
      spare.nodes = 0
      return attempt(() => readObject(reader, ref, 2)) ?? attempt(() => readObject(spare, ref, 2))
    }
    for (let i = 0; i < Math.min(count, MOST_SALVAGED); i++) {
      const key = readAt(i)
      if (typeof key === 'string') dict[key] = readAt(count + i) ?? null
    }
    return true
  })
  return isDone ? dict : undefined
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof AppError || error instanceof RangeError) return undefined
    throw error
  }
}

function openBinaryPlist(
  bytes: Buffer,
  given: PlistLimits,
  real: BinaryReader['real'] = (value) => value,
): { reader: BinaryReader; root: number } {
  const limits = {
    ...given,
    maxNodes: Math.min(given.maxNodes, bytes.length),
    maxBytes: Math.min(given.maxBytes, bytes.length * MAX_EXPANSION),
  }
  if (bytes.toString('latin1', 0, 8) !== 'bplist00') refuse('unknown version of a binary plist', 0)
  const trailer = bytes.length - TRAILER_BYTES
  if (trailer < 9) refuse('the document ends too early', bytes.length)
  const reader: BinaryReader = {
    bytes,
    limits,
    offsetSize: bytes.readUInt8(trailer + 6),
    refSize: bytes.readUInt8(trailer + 7),
    objectCount: readCount(bytes, trailer + 8, 8),
    tableStart: readCount(bytes, trailer + 24, 8),
    scalars: new Map(),
    real,
    nodes: 0,
    expanded: 0,
  }
  const { offsetSize, refSize, objectCount, tableStart } = reader
  if (offsetSize < 1 || offsetSize > 8 || refSize < 1 || refSize > 8) refuse('bad trailer', trailer)
  if (tableStart < 9 || tableStart + objectCount * offsetSize !== trailer) refuse('bad trailer', trailer)
  return { reader, root: readCount(bytes, trailer + 16, 8) }
}

/** An unsigned number of 1 to 8 bytes; what is too large to be exact is Infinity, which fits nowhere. */
function readCount(bytes: Buffer, offset: number, size: number): number {
  if (size <= 6) return bytes.readUIntBE(offset, size)
  let value = 0
  for (let i = offset; i < offset + size; i++) value = value * 256 + bytes.readUInt8(i)
  return Number.isSafeInteger(value) ? value : Infinity
}

function readObject(reader: BinaryReader, ref: number, depth: number): PlistValue {
  const { limits, bytes, tableStart, offsetSize } = reader
  if (++reader.nodes > limits.maxNodes) refuse(`more than ${limits.maxNodes} values`)
  if (ref >= reader.objectCount) refuse(`reference ${ref} to no object`)
  const known = reader.scalars.get(ref)
  if (known !== undefined) return charge(reader, known)
  const offset = readCount(bytes, tableStart + ref * offsetSize, offsetSize)
  if (offset < 8 || offset >= tableStart) refuse(`object ${ref} lies outside`)
  const marker = bytes.readUInt8(offset)
  if (marker >> 4 === 0xa || marker >> 4 === 0xd) return readContainer(reader, marker, offset, depth)
  const scalar = readScalar(reader, marker, offset)
  reader.scalars.set(ref, scalar)
  return charge(reader, scalar)
}

function charge(reader: BinaryReader, scalar: { value: PlistValue; size: number }): PlistValue {
  reader.expanded += scalar.size
  if (reader.expanded > reader.limits.maxBytes) refuse(`expands beyond ${reader.limits.maxBytes} bytes`)
  return scalar.value
}

function readContainer(reader: BinaryReader, marker: number, offset: number, depth: number): PlistValue {
  if (depth > reader.limits.maxDepth) refuse(`nested deeper than ${reader.limits.maxDepth}`, offset)
  const isArray = marker >> 4 === 0xa
  const { count, start } = readLength(reader, marker, offset)
  const width = reader.refSize
  const end = start + count * width * (isArray ? 1 : 2)
  if (end > reader.tableStart) refuse('container is longer than the document', offset)
  // Counted before it is read, so that a long list of short references is refused at once.
  if (reader.nodes + count > reader.limits.maxNodes) refuse(`more than ${reader.limits.maxNodes} values`)
  if (isArray) return readItems(reader, start, count, depth)
  const dict = createDict()
  for (let i = 0; i < count; i++) {
    const key = readObject(reader, readCount(reader.bytes, start + i * width, width), depth + 1)
    if (typeof key !== 'string') refuse('a key that is no string', offset)
    dict[key] = readObject(reader, readCount(reader.bytes, start + (count + i) * width, width), depth + 1)
  }
  return dict
}

function readItems(reader: BinaryReader, start: number, count: number, depth: number): PlistValue[] {
  const items: PlistValue[] = []
  for (let i = 0; i < count; i++) {
    items.push(
      readObject(reader, readCount(reader.bytes, start + i * reader.refSize, reader.refSize), depth + 1),
    )
  }
  return items
}

/** The count of an object: in its marker, or in an integer object behind it. */
function readLength(reader: BinaryReader, marker: number, offset: number): { count: number; start: number } {
  if ((marker & 0xf) !== 0xf) return { count: marker & 0xf, start: offset + 1 }
  const size = reader.bytes.readUInt8(offset + 1)
  if (size < 0x10 || size > 0x13) refuse('bad length', offset)
  const width = 1 << (size & 0xf)
  return { count: readCount(reader.bytes, offset + 2, width), start: offset + 2 + width }
}

function readScalar(
  reader: BinaryReader,
  marker: number,
  offset: number,
): { value: PlistValue; size: number } {
  const low = marker & 0xf
  switch (marker >> 4) {
    case 0x0:
      if (low === 0x8 || low === 0x9) return { value: low === 0x9, size: 5 }
      break
    case 0x1:
      if (low <= 4)
        return { value: readInteger(span(reader, offset + 1, 1 << low), offset), size: NUMBER_SIZE }
      break
    case 0x2:
      if (low === 2)
        return { value: reader.real(span(reader, offset + 1, 4).readFloatBE()), size: NUMBER_SIZE }
      if (low === 3)
        return { value: reader.real(span(reader, offset + 1, 8).readDoubleBE()), size: NUMBER_SIZE }
      break
    case 0x3:
      if (low === 3)
        return { value: toDate(span(reader, offset + 1, 8).readDoubleBE(), offset), size: DATE_SIZE }
      break
    case 0x4:
    case 0x5:
    case 0x6:
      return readBlock(reader, marker, offset)
  }
  return refuse(`unknown or unsupported object type 0x${marker.toString(16)}`, offset)
}

/** Data, ASCII or UTF-16 text. */
function readBlock(
  reader: BinaryReader,
  marker: number,
  offset: number,
): { value: PlistValue; size: number } {
  const { count, start } = readLength(reader, marker, offset)
  const kind = marker >> 4
  const block = span(reader, start, kind === 0x6 ? count * 2 : count)
  if (kind === 0x4) return { value: Buffer.from(block), size: sizeOfData(block.length) }
  const text = kind === 0x5 ? block.toString('latin1') : Buffer.from(block).swap16().toString('utf16le')
  if (kind === 0x5 && /[\u0080-\u00ff]/.test(text)) refuse('not valid ASCII', offset)
  if (kind === 0x6 && !text.isWellFormed()) refuse('not valid UTF-16', offset)
  return { value: text, size: Buffer.byteLength(JSON.stringify(text)) }
}

/** In JSON: base64 and its tag. */
function sizeOfData(length: number): number {
  return 12 + Math.ceil(length / 3) * 4
}

function span(reader: BinaryReader, start: number, length: number): Buffer {
  if (start + length > reader.tableStart) refuse('object is longer than the document', start)
  return reader.bytes.subarray(start, start + length)
}

/** Integers of up to 4 bytes are unsigned, longer ones signed. */
function readInteger(bytes: Buffer, offset: number): number | bigint {
  if (bytes.length <= 4) return bytes.readUIntBE(0, bytes.length)
  const low = bytes.readBigUInt64BE(bytes.length - 8)
  if (bytes.length === 8) return narrowInteger(BigInt.asIntN(64, low), offset)
  return narrowInteger((bytes.readBigInt64BE() << 64n) | low, offset)
}

function toDate(seconds: number, offset: number): Date {
  const date = new Date((seconds + APPLE_EPOCH) * 1000)
  return Number.isNaN(date.getTime()) ? refuse('not a date', offset) : date
}
