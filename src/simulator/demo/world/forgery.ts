import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { signData } from '../../../protocol/cms/index.ts'
import { createLeaf, generateEcKey, generateRsaKey, validity } from '../../../protocol/x509/index.ts'
import type { KeyPool } from '../../key-pool.ts'
import { openSigned } from '../../wire/signing.ts'

const WEAK_BITS = 1_024

/** A profile with another text in place of one, signed by a stranger. */
export async function editProfile(profile: Buffer, change: [string, string], now: Date): Promise<Buffer> {
  const { content: original } = openSigned(profile, now)
  const content = original.toString('utf8').replaceAll(...change)
  const signer = await createLeaf({
    subject: [['CN', 'Somebody']],
    ...validity(now, 1),
    key: await generateEcKey(),
  })
  return signData({ content: Buffer.from(content), signer })
}

/** Keys of a tinkerer: nobody else has them, and the weak one is weaker than any server should take. */
export function createOwnKeys(): KeyPool & { useWeak(isWeak: boolean): void } {
  let isWeak = false
  return {
    useWeak: (wanted) => void (isWeak = wanted),
    next: () => (isWeak ? generateWeakKey() : generateRsaKey()),
  }
}

async function generateWeakKey(): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: WEAK_BITS })
  return privateKey
}
