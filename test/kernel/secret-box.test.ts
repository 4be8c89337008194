import { createDecipheriv } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AppError } from '../../src/kernel/errors.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'

const KEY = Buffer.alloc(32, 1)
const OTHER_KEY = Buffer.alloc(32, 2)
const CONTEXT = 'push_certificates.key:com.apple.mgmt.External.1'
const OVERHEAD = 1 + 8 + 12 + 16

const box = createSecretBox({ key: KEY })

function refusal(action: () => unknown): AppError {
  try {
    action()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('Nothing was refused.')
}

test('what was sealed can be opened, whatever it is, and no two records are alike', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), fc.string({ unit: 'binary' }), (plain, context) => {
      const sealed = box.seal(plain, context)
      expect(sealed).toHaveLength(plain.length + OVERHEAD)
      expect(box.open(sealed, context)).toEqual(Buffer.from(plain))
      expect(box.seal(plain, context)).not.toEqual(sealed)
    }),
  )
})

test('a record changed anywhere is refused', () => {
  const sealed = box.seal(Buffer.from('a secret'), CONTEXT)
  fc.assert(
    fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = Buffer.from(sealed)
      changed.writeUInt8(changed.readUInt8(at) ^ mask, at)
      const { code, message } = refusal(() => box.open(changed, CONTEXT))
      expect(code).toBe('internal')
      expect(message).toMatch(
        at === 0 ? /not a sealed/ : at < 9 ? /not configured \(key id [0-9a-f]{16}\)/ : /was changed/,
      )
    }),
  )
})

test('a record cut short or made longer is refused', () => {
  const sealed = box.seal(Buffer.from('a secret'), CONTEXT)
  for (let length = 0; length < sealed.length; length++) {
    expect(refusal(() => box.open(sealed.subarray(0, length), CONTEXT)).message).toMatch(
      /not a sealed|was changed/,
    )
  }
  expect(refusal(() => box.open(Buffer.concat([sealed, Buffer.of(0)]), CONTEXT)).message).toMatch(
    /was changed/,
  )
})

test('a record moved to another place is refused, and the message tells nothing of it', () => {
  const sealed = box.seal(Buffer.from('a secret'), CONTEXT)
  const error = refusal(() => box.open(sealed, `${CONTEXT}2`))
  expect(error.message).toBe('A sealed secret was changed, or belongs somewhere else.')
})

test('rotation: the previous key opens and asks for a new seal; without it the key id is told', () => {
  const old = box.seal(Buffer.from('a secret'), CONTEXT)
  const rotated = createSecretBox({ key: OTHER_KEY, previous: KEY })
  expect(rotated.open(old, CONTEXT).toString()).toBe('a secret')
  expect(rotated.needsReseal(old)).toBe(true)
  const fresh = rotated.seal(Buffer.from('a secret'), CONTEXT)
  expect(rotated.needsReseal(fresh)).toBe(false)
  expect(refusal(() => box.open(fresh, CONTEXT)).message).toContain(`key id ${fresh.toString('hex', 1, 9)}`)
  expect(refusal(() => rotated.needsReseal(Buffer.from('x'))).message).toMatch(/not a sealed/)
})

test('the record is laid out as documented', () => {
  const sealed = box.seal(Buffer.from('a secret'), CONTEXT)
  expect(sealed[0]).toBe(1)
  const decipher = createDecipheriv('aes-256-gcm', KEY, sealed.subarray(9, 21))
  decipher
    .setAAD(Buffer.concat([sealed.subarray(0, 9), Buffer.from(CONTEXT)]))
    .setAuthTag(sealed.subarray(-16))
  const plain = Buffer.concat([decipher.update(sealed.subarray(21, -16)), decipher.final()])
  expect(plain.toString()).toBe('a secret')
})

test('keys of another size are refused', () => {
  expect(refusal(() => createSecretBox({ key: Buffer.alloc(16) })).message).toMatch(/must have 32 bytes/)
  expect(refusal(() => createSecretBox({ key: KEY, previous: Buffer.alloc(33) })).message).toMatch(/32 bytes/)
})
