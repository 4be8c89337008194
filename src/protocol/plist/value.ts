import { AppError } from '../../kernel/errors.ts'

/** A dictionary. It has no prototype, so any key, `__proto__` too, is plain data. */
export interface PlistDict {
  [key: string]: PlistValue
}

/**
 * What a property list can hold. An integer outside of the safe range of a number is a bigint; reals and integers
 * are otherwise both numbers, so a real without fraction is written back as an integer.
 */
export type PlistValue =
  string | number | bigint | boolean | Date | Uint8Array<ArrayBuffer> | PlistValue[] | PlistDict

/** Limits of the reader. */
export interface PlistLimits {
  /** Size of the document, and, in bytes of JSON, of all its scalars once shared references are followed. */
  maxBytes: number
  /** Nesting of arrays and dictionaries; the root is at depth 1. */
  maxDepth: number
  /** Number of values, containers included; keys count in the binary form alone. */
  maxNodes: number
}

/** Enough for a list of some ten thousand apps. */
export const DEFAULT_LIMITS: PlistLimits = { maxBytes: 32 * 1024 * 1024, maxDepth: 64, maxNodes: 500_000 }

/** The integers that Apple's implementation can hold: signed or unsigned 64 bits. */
export const MIN_INTEGER = -(2n ** 63n)
export const MAX_INTEGER = 2n ** 64n - 1n

/** Whether a value is a dictionary. */
export function isDict(value: unknown): value is PlistDict {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Date)
  )
}

/** An empty dictionary without prototype. */
export function createDict(): PlistDict {
  // The literal keeps the object in the engine's fast mode, which Object.create(null) does not.
  return { __proto__: null } as unknown as PlistDict
}

/** The refusal of a document; `offset` is in bytes. */
export function refuse(reason: string, offset?: number): never {
  throw new AppError('plist_invalid', offset === undefined ? reason : `${reason} at byte ${offset}`)
}

/** A bigint as number where that is exact. */
export function narrowInteger(value: bigint, offset: number): number | bigint {
  if (value < MIN_INTEGER || value > MAX_INTEGER) refuse('integer out of range', offset)
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
