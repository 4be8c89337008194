/** A part of a file: from one byte to another one, both with it. */
interface ByteRange {
  start: number
  end: number
}

/** One range (RFC 9110, section 14.1.2); many at once are answered with the whole. */
const RANGE = /^bytes=(\d{0,16})-(\d{0,16})$/i

/**
 * The part that a Range header asks for of `size` bytes: undefined for the whole (no header, or one that is not understood),
 * `unsatisfiable` for one that lies outside.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = RANGE.exec(header ?? '') ?? []
  if (from === '' && to === '') return undefined
  if (from === '') {
    const length = Math.min(Number(to), size)
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 }
  }
  const start = Number(from)
  if (to !== '' && Number(to) < start) return undefined
  if (start >= size) return 'unsatisfiable'
  return { start, end: to === '' ? size - 1 : Math.min(Number(to), size - 1) }
}
