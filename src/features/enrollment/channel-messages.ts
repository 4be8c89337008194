import { SEALED_FOR } from '../../db/sealed-columns.ts'
import { actOfServer } from '../../kernel/act.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'
import { endEnrollment } from './end.ts'
import { keepMessage } from './messages.ts'

/** What a channel that is enrolled may say besides TokenUpdate. */
export function createChannelMessages(deps: EnrollmentDeps) {
  const { db, clock, devices, secretBox } = deps
  return {
    /** The profile was removed from the device: its enrollment is over. A repeated CheckOut changes nothing. */
    checkOut: (id: string, from: Sender): Promise<void> =>
      db.transaction(async (trx) => {
        const enrollment = await devices.lockEnrollment(trx, id)
        if (!enrollment || enrollment.unenrolled_at !== null) return
        await endEnrollment(trx, deps, enrollment, 'checked_out', actOfServer('device', from.requestId))
        await keepMessage(trx, deps, enrollment.id, 'CheckOut', from)
      }),
    /** Stores a bootstrap token, sealed; a missing or empty one deletes what is stored. */
    setBootstrapToken: (id: string, token: Uint8Array | undefined, from: Sender): Promise<void> =>
      db.transaction(async (trx) => {
        const bootstrap_token = token?.length ? secretBox.seal(token, SEALED_FOR.bootstrapToken(id)) : null
        await devices.updateEnrollment(trx, id, { bootstrap_token, updated_at: clock.now() })
        await keepMessage(trx, deps, id, 'SetBootstrapToken', from)
      }),
    /** The stored bootstrap token; undefined when there is none. */
    async bootstrapToken(id: string): Promise<Buffer | undefined> {
      const kept = (await devices.findEnrollment(db.kysely, id))?.bootstrap_token
      return kept ? secretBox.open(kept, SEALED_FOR.bootstrapToken(id)) : undefined
    },
    /** An UnlockToken from how it is kept. */
    openUnlockToken: (id: string, sealed: Buffer) => secretBox.open(sealed, SEALED_FOR.unlockToken(id)),
  }
}
