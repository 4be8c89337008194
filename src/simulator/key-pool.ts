import type { KeyObject } from 'node:crypto'
import { generateRsaKey } from '../protocol/x509/index.ts'

/** Gives private RSA-2048 keys to devices. */
export interface KeyPool {
  next(): Promise<KeyObject>
}

const DEFAULT_SIZE = 8

/**
 * A pool that makes at most `size` keys and then gives them out again in turn. Making an RSA key costs a tenth of a
 * second, so hundreds of devices share some; a server must cope with that, as it tells devices by certificate.
 */
export function createKeyPool(size = DEFAULT_SIZE, ready: readonly KeyObject[] = []): KeyPool {
  const keys: Promise<KeyObject>[] = ready.map((key) => Promise.resolve(key))
  let turn = 0
  return {
    next() {
      const index = turn++ % size
      return (keys[index] ??= generateRsaKey())
    },
  }
}
