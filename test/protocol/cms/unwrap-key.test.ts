import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { createKeyUnwrapper } from '../../../src/protocol/cms/index.ts'
import { unwrapKey } from '../../../src/protocol/cms/unwrap-key.ts'
import { testKey } from '../../support/keys.ts'

const key = testKey('ca')
const publicKey = createPublicKey(key)
const { unwrap, close } = createKeyUnwrapper({ threads: 1 })
afterAll(close)

const SIZE = 256
const secret = randomBytes(16)

/** The right block: 00 02, padding without zeros, 00, key. */
function rightBlock(length = 16): Buffer {
  const padding = Buffer.from(randomBytes(SIZE - length - 3).map((byte) => (byte === 0 ? 1 : byte)))
  return Buffer.concat([Buffer.of(0, 2), padding, Buffer.of(0), secret.subarray(0, length)])
}

const encryptBlock = (block: Buffer) =>
  publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block)
const changed = (position: number, value: number): Buffer => {
  const block = rightBlock()
  block[position] = value
  return block
}

describe('a content key', () => {
  test('is found in a right block, in the worker and without', async () => {
    const request = { key, encryptedKey: encryptBlock(rightBlock()), keyLength: 16 }
    expect(unwrapKey(request)).toEqual(secret)
    expect(Buffer.from(await unwrap(request))).toEqual(secret)
    const padded = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, secret)
    expect(unwrapKey({ key, encryptedKey: padded, keyLength: 16 })).toEqual(secret)
  })

  test.each([
    ['no zero in front', encryptBlock(changed(0, 0x01))],
    ['another block type', encryptBlock(changed(1, 0x01))],
    ['a zero within the first eight bytes', encryptBlock(changed(5, 0))],
    ['a zero later in the padding', encryptBlock(changed(SIZE - 18, 0))],
    ['no separator', encryptBlock(changed(SIZE - 17, 7))],
    ['a shorter key', encryptBlock(rightBlock(8))],
    ['all zeros', encryptBlock(Buffer.alloc(SIZE))],
    ['nothing', Buffer.alloc(0)],
    ['too few bytes', Buffer.alloc(10, 1)],
    ['too many bytes', Buffer.alloc(300, 1)],
    ['a number larger than the modulus', Buffer.alloc(SIZE, 0xff)],
  ])('that is not there is replaced by one of the same length: %s', (_, encryptedKey) => {
    const request = { key, encryptedKey, keyLength: 16 }
    const substitute = unwrapKey(request)
    expect(substitute.length).toBe(16)
    expect(substitute).not.toEqual(secret)
    // Asking twice must not tell: a random answer would differ, a right one would not.
    expect(unwrapKey(request)).toEqual(substitute)
  })

  test('the substitute depends on the input and on the private key', () => {
    const one = { key, encryptedKey: Buffer.alloc(SIZE, 1), keyLength: 16 }
    expect(unwrapKey(one)).not.toEqual(unwrapKey({ ...one, encryptedKey: Buffer.alloc(SIZE, 2) }))
    expect(unwrapKey(one)).not.toEqual(unwrapKey({ ...one, key: testKey('other') }))
  })

  test('OAEP is the same: right or replaced', () => {
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const encryptedKey = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, secret)
    expect(unwrapKey({ key, encryptedKey, keyLength: 16, oaepHash: 'sha256' })).toEqual(secret)
    for (const request of [
      { key, encryptedKey, keyLength: 16, oaepHash: 'sha1' },
      { key, encryptedKey, keyLength: 24, oaepHash: 'sha256' },
      { key, encryptedKey: Buffer.alloc(3), keyLength: 16, oaepHash: 'sha256' },
    ] as const) {
      expect(unwrapKey(request).length).toBe(request.keyLength)
      expect(unwrapKey(request)).not.toEqual(secret)
    }
  })

  test('any input gives a key of the wanted length', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: SIZE }),
        fc.constantFrom(8, 16, 24, 32),
        (encryptedKey, keyLength) => {
          expect(unwrapKey({ key, encryptedKey, keyLength }).length).toBe(keyLength)
        },
      ),
      { numRuns: 100 },
    )
  })
})
