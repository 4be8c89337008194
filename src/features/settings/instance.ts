import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import { lockInstance, writeInstance } from './store.ts'

const PROBE = 'instance.secret_probe'

/**
 * The id of this installation, made at its first start; processes that start at once agree on one. Throws `conflict`
 * when the secret key is not the one with which this database's secrets were sealed: nothing must start then.
 */
export function openInstance(deps: { db: Db; clock: Clock; secretBox: SecretBox }): Promise<string> {
  const { db, clock, secretBox } = deps
  return db.transaction(async (trx) => {
    const known = await lockInstance(trx)
    if (!known) {
      const id = newId(clock.now())
      await writeInstance(trx, id, secretBox.seal(Buffer.from(id), PROBE))
      return id
    }
    const opened = open(secretBox, known.secret_probe)
    if (opened !== known.id) throw wrongKey()
    return known.id
  })
}

/**
 * Makes the present secret key the one that this database is known by. To be called when nothing else is sealed with
 * the previous one.
 */
export function resealInstance(deps: { db: Db; secretBox: SecretBox }): Promise<void> {
  const { db, secretBox } = deps
  return db.transaction(async (trx) => {
    const known = await lockInstance(trx)
    if (known && secretBox.needsReseal(known.secret_probe))
      await writeInstance(trx, known.id, secretBox.seal(Buffer.from(known.id), PROBE))
  })
}

function open(secretBox: SecretBox, sealed: Buffer): string {
  try {
    return secretBox.open(sealed, PROBE).toString('utf8')
  } catch (error) {
    throw wrongKey(error)
  }
}

function wrongKey(cause?: unknown): AppError {
  return new AppError(
    'conflict',
    'The secret key is not the one with which the secrets in this database were sealed: give that key, or give it ' +
      'as FIRSTBOOT_SECRET_KEY_PREVIOUS beside the new one.',
    { cause },
  )
}
