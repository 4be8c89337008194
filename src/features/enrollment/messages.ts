import type { Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { EnrollmentDeps, Sender } from './deps.ts'

/** A check-in message as it is kept: sealed, because it holds push and unlock tokens. */
export function sealMessage(box: SecretBox, enrollmentId: string, raw: Uint8Array): Buffer {
  return box.seal(raw, SEALED_FOR.checkinMessage(enrollmentId))
}

/** Keeps a check-in message of a device as it came; see `Devices.keepMessage`. */
export async function keepMessage(
  trx: Tx,
  { clock, devices, secretBox }: Pick<EnrollmentDeps, 'clock' | 'devices' | 'secretBox'>,
  id: string,
  type: string,
  from: Pick<Sender, 'raw' | 'digest'>,
): Promise<void> {
  const raw = sealMessage(secretBox, id, from.raw)
  const message = { enrollment_id: id, message_type: type, received_at: clock.now(), raw }
  await devices.keepMessage(trx, message, from.digest)
}
