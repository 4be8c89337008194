import { deflateSync, inflateSync } from 'node:zlib'
import { AppError } from '../../kernel/errors.ts'

/** First byte of what is kept as it is; a zlib stream starts with 0x78. */
const STORED = 0x00

/** Below this size compressing costs more than it saves. */
const SMALLEST_COMPRESSED = 8192

/**
 * Bytes in the form they are stored in: a zero byte and the bytes, or, from 8 KB on, a zlib stream. The buffer is
 * the only one on its memory, so that it can be transferred to another thread.
 */
export function packBytes(bytes: Uint8Array): Buffer<ArrayBuffer> {
  if (bytes.length >= SMALLEST_COMPRESSED) {
    const stream = deflateSync(bytes, { level: 1 })
    const packed = Buffer.allocUnsafeSlow(stream.length)
    packed.set(stream)
    return packed
  }
  const packed = Buffer.allocUnsafeSlow(bytes.length + 1)
  packed[0] = STORED
  packed.set(bytes, 1)
  return packed
}

/** The bytes that `packBytes` was given, at most `maxBytes` of them. Throws `internal` when they are damaged. */
export function unpackBytes(packed: Uint8Array, maxBytes: number): Buffer {
  if (packed[0] === STORED && packed.length - 1 <= maxBytes) return Buffer.from(packed.subarray(1))
  try {
    return inflateSync(packed, { maxOutputLength: maxBytes })
  } catch (error) {
    throw new AppError('internal', 'Packed bytes cannot be read', { cause: error })
  }
}
