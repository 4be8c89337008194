import { createPrivateKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The private key of test/fixtures/keys with this name: made once, because making them is slow. */
export function testKey(name: 'ca' | 'device' | 'other' | 'weak' | 'ec'): KeyObject {
  return createPrivateKey(readFileSync(new URL(`../fixtures/keys/${name}.pem`, import.meta.url)))
}
