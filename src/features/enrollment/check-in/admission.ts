import type { Tx } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Attempt, NewStep, ReasonCode } from '../../attempts/index.ts'
import type { Devices, Enrollment } from '../../devices/index.ts'
import type { RefusalDetail } from '../../events/index.ts'
import type { User, Users } from '../../users/index.ts'
import { isAutomated, judgePerson } from '../../entry/index.ts'

/** What Authenticate says of the device, as far as admission looks at it. */
export interface Applicant {
  /** UDID, or EnrollmentID in a user enrollment. */
  deviceId: string
  type: Enrollment['type']
  udid: string | null
  serial_number: string | null
  topic: string
}

/** A refusal: the reason, and what the administrator should see with it. */
export interface Refusal {
  reason: ReasonCode
  detail: RefusalDetail
  /** Whose place it is, of a device that is `owned_by_another`. */
  owner?: Enrollment
}

/** Says whether the device that speaks is the one that the attempt was opened for. */
export function checkSameDevice(attempt: Attempt, applicant: Applicant): Refusal | undefined {
  const differs = (known: string | null, told: string | null) =>
    known !== null && known.toLowerCase() !== (told ?? '').toLowerCase()
  // Before the certificate is bound only what the attempt learnt from Apple-signed MachineInfo is known; a link knows nothing.
  if (differs(attempt.serial_number, applicant.serial_number) || differs(attempt.udid, applicant.udid))
    return {
      reason: 'certificate_mismatch',
      detail: { expected_serial_number: attempt.serial_number, serial_number: applicant.serial_number },
    }
  return undefined
}

/**
 * Says whether the attempt's user, whose row is locked, may have this device, and the step that this is, if it is counted.
 * `takenId`: the enrollment whose place it takes.
 */
export async function checkUser(
  trx: Tx,
  deps: { users: Users; devices: Devices; clock: Clock },
  attempt: Attempt,
  user: User | undefined,
  takenId: string | undefined,
): Promise<{ refusal: Refusal } | { passed: NewStep[] }> {
  if (attempt.user_id === null) return { passed: [] }
  const device = { isAutomated: isAutomated(attempt.way), exceptId: takenId }
  const { refusal, passed } = await judgePerson(trx, deps, user, device)
  return refusal === undefined ? { passed } : { refusal }
}
