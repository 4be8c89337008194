import { createHash } from 'node:crypto'

/** A source of chance that gives the same sequence for the same seed; for behaviour, never for secrets. */
export interface Random {
  /** A number from 0 up to, but without, 1. */
  next(): number
  /** True with the given probability (0 to 1). */
  chance(probability: number): boolean
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  pick<T>(list: readonly [T, ...T[]]): T
  bytes(length: number): Buffer<ArrayBuffer>
  /** `length` characters of that alphabet. */
  text(length: number, alphabet: string): string
  /** An independent source; the same name gives the same one, whatever was drawn before. */
  fork(name: string): Random
}

/** Alphabet of hexadecimal texts, as devices write them. */
export const HEX_DIGITS = '0123456789ABCDEF'

/** A generator (sfc32) started from any text. */
export function createRandom(seed: string): Random {
  const digest = createHash('sha256').update(seed).digest()
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]

  function draw(): number {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  const next = () => draw() / 2 ** 32
  const integer = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return {
    next,
    integer,
    chance: (probability) => next() < probability,
    pick: (list) => list[integer(0, list.length - 1)] ?? list[0],
    bytes: (length) => Buffer.from(Array.from({ length }, () => draw() & 0xff)),
    text: (length, alphabet) =>
      Array.from({ length }, () => alphabet[integer(0, alphabet.length - 1)]).join(''),
    fork: (name) => createRandom(`${seed}/${name}`),
  }
}
