import { actOfServer } from '../../kernel/act.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'
import { endEnrollment } from './end.ts'
import { openToken, sealMessage, sealToken } from './messages.ts'

/** The profile was removed from the device: its enrollment is over. A repeated CheckOut changes nothing. */
export function checkOut(deps: EnrollmentDeps, id: string, from: Sender): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const enrollment = await deps.devices.lockEnrollment(trx, id)
    if (!enrollment || enrollment.unenrolled_at !== null) return
    await endEnrollment(trx, deps, enrollment, 'checked_out', actOfServer('device', from.requestId))
    const message = {
      enrollment_id: enrollment.id,
      message_type: 'CheckOut',
      received_at: deps.clock.now(),
      raw: sealMessage(deps.secretBox, enrollment.id, from.raw),
    }
    await deps.devices.keepMessage(trx, message, from.digest)
  })
}

/** Stores a bootstrap token, sealed; a missing or empty one deletes what is stored. */
export function setBootstrapToken(
  deps: EnrollmentDeps,
  id: string,
  token: Uint8Array | undefined,
  from: Sender,
): Promise<void> {
  return deps.db.transaction(async (trx) => {
    const now = deps.clock.now()
    await deps.devices.updateEnrollment(trx, id, {
      bootstrap_token: token?.length ? sealToken(deps.secretBox, id, 'bootstrap', token) : null,
      updated_at: now,
    })
    const message = {
      enrollment_id: id,
      message_type: 'SetBootstrapToken',
      received_at: now,
      raw: sealMessage(deps.secretBox, id, from.raw),
    }
    await deps.devices.keepMessage(trx, message, from.digest)
  })
}

/** The stored bootstrap token; undefined when there is none. */
export async function bootstrapToken(deps: EnrollmentDeps, id: string): Promise<Buffer | undefined> {
  const enrollment = await deps.devices.findEnrollment(deps.db.kysely, id)
  if (!enrollment?.bootstrap_token) return undefined
  return openToken(deps.secretBox, enrollment.id, 'bootstrap', enrollment.bootstrap_token)
}
