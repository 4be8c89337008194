import { resealAll, type Db } from './db/index.ts'
import type { Log } from './kernel/log.ts'
import type { SecretBox } from './kernel/secret-box.ts'

/** The job that follows a change of the secret key. */
export type Reseal = ReturnType<typeof createReseal>

/**
 * After the secret key was changed: a job that seals anew what the previous key has sealed, until a whole pass finds
 * nothing. Then `finish` proves the database to the present key alone, so that a server without the previous key
 * starts; until then it does not.
 */
export function createReseal(deps: {
  db: Db
  log: Log
  secretBox: SecretBox
  /** There is a previous key; without one there is nothing to do. */
  isRotating: boolean
  finish: () => Promise<void>
}) {
  const { db, log, secretBox, finish } = deps
  let isDone = !deps.isRotating

  return {
    async run(): Promise<void> {
      if (isDone) return
      const count = await resealAll(db, secretBox)
      if (count > 0) {
        log.info(
          { event: 'secrets.resealed', count },
          'secrets of the previous key are sealed with the present one',
        )
        return
      }
      await finish()
      isDone = true
      log.info(
        { event: 'secrets.rotated' },
        'nothing is sealed with the previous key any more: FIRSTBOOT_SECRET_KEY_PREVIOUS is not needed',
      )
    },
  }
}
