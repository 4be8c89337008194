import type { Db } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { findKeyPair } from './store.ts'

/** The push certificate of a topic with its key, in PEM; undefined when there is none. */
export async function openKeyPair(
  { db, box }: { db: Db; box: SecretBox },
  topic: string,
): Promise<{ certificate: string; privateKey: string } | undefined> {
  const pair = await findKeyPair(db.kysely, topic)
  if (pair === undefined) return undefined
  const privateKey = box.open(pair.private_key, SEALED_FOR.pushKey(topic)).toString('utf8')
  return { certificate: pair.certificate, privateKey }
}
