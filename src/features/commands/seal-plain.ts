import type { Db } from '../../db/index.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { sealBody } from './bodies.ts'
import { lockPlain, saveSealed } from './queue-store.ts'

/** Bodies sealed in one transaction. */
const BATCH = 100

/** Seals the bodies of commands that were written before bodies were sealed; gives their number. */
export async function sealPlain(db: Db, box: SecretBox): Promise<number> {
  let count = 0
  for (;;) {
    const rows = await db.transaction(async (trx) => {
      const plain = await lockPlain(trx, BATCH)
      for (const { uuid, body } of plain) await saveSealed(trx, uuid, sealBody(box, uuid, body))
      return plain
    })
    count += rows.length
    if (rows.length < BATCH) return count
  }
}
