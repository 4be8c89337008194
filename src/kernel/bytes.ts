/**
 * The bytes in memory of their own, for what is kept. Small buffers share blocks of 64 KB, and each of them keeps its whole
 * block alive, as does a view into a message the message.
 */
export function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
