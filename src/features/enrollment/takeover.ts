import type { Tx } from '../../db/index.ts'
import type { Attempt } from '../attempts/index.ts'
import type { EnrollmentDeps } from './deps.ts'
import { halfEnrolledSince, type Enrollment, type Holder } from '../devices/index.ts'
import { groundOf, isAutomated, type Claimant, type Owner } from '../entry/index.ts'

/** Apple is asked whether a device is still there once in so long at most, however many want its place. */
const ASK_AGAIN_SECONDS = 5

/** Whether a device that says Authenticate by an attempt may take the place of an enrollment, which is locked. */
export function mayReplace(
  holder: Holder,
  attempt: Attempt,
  device: { deviceId: string; type: Enrollment['type'] },
  now: Date,
): boolean {
  const claimant: Claimant = {
    ...device,
    way: attempt.way,
    userId: attempt.user_id,
    machineInfo: isAutomated(attempt.way)
      ? { udid: attempt.udid, serialNumber: attempt.serial_number }
      : null,
  }
  return groundOf(ownerOf(holder, now), claimant, now) !== undefined
}

/**
 * What may become of an enrollment, which is locked, whose device an operator sends here from another server: it begins anew
 * where it is known to be over (`anew`), another identity may take its place (`allowed`), or nothing.
 */
export function maySend(
  holder: Holder,
  device: { deviceId: string; type: Enrollment['type'] },
  now: Date,
): 'anew' | 'allowed' | undefined {
  const claimant: Claimant = { ...device, way: null, userId: null, machineInfo: null, isSent: true }
  const ground = groundOf(ownerOf(holder, now), claimant, now)
  return ground === undefined || ground === 'allowed' ? ground : 'anew'
}

function ownerOf(holder: Holder, now: Date): Owner {
  const { authenticated_at, last_contact_at, unregistered_at } = holder
  const isHalf = holder.token_update_tally === 0
  const hasGivenUp = authenticated_at === null || authenticated_at <= halfEnrolledSince(now)
  const wasHeard = last_contact_at !== null && unregistered_at !== null && last_contact_at > unregistered_at
  return {
    type: holder.type,
    way: holder.way,
    userId: holder.user_id,
    serialNumber: holder.serial_number,
    isLive: holder.unenrolled_at === null && !(isHalf && hasGivenUp),
    isErased: holder.erased_at !== null,
    isUnregistered: unregistered_at !== null && !wasHeard,
    allowedUntil: holder.re_enrollment_until,
  }
}

/**
 * Tells that a device was refused an enrollment that is another's. Gives whether Apple is to be asked now if that one is still
 * there.
 */
export async function tellTakeoverRefused(
  trx: Tx,
  deps: Pick<EnrollmentDeps, 'clock' | 'devices' | 'events' | 'users'>,
  { owner, attempt, requestId }: { owner: Enrollment; attempt: Attempt; requestId: string },
): Promise<boolean> {
  const { id, serial_number, user_id, way, attempt_id } = owner
  const names = await deps.users.namesOf(trx, user_id === null ? [] : [user_id])
  const claimant = { user_name: attempt.user_name, way: attempt.way, attempt_id: attempt.id }
  await deps.events.emit(trx, {
    type: 'enrollment.takeover_refused',
    reason: 'owned_by_another',
    enrollment_id: id,
    serial_number,
    attempt_id: attempt.id,
    data: { owner: { user_name: names.get(user_id ?? '') ?? null, way, attempt_id }, claimant },
    request_id: requestId,
  })
  return deps.devices.noteAsked(trx, id, deps.clock.now(), ASK_AGAIN_SECONDS)
}

/**
 * A certificate has spoken whose enrollment another device has now. That is told once an hour, as it may be the honest one that
 * was replaced.
 */
export async function tellContested(
  trx: Tx,
  deps: Pick<EnrollmentDeps, 'devices' | 'events' | 'identity'>,
  { enrollmentId, fingerprint, requestId }: { enrollmentId: string; fingerprint: Buffer; requestId: string },
): Promise<void> {
  if (!(await deps.identity.isToldContested(trx, enrollmentId, fingerprint))) return
  const enrollment = await deps.devices.findEnrollment(trx, enrollmentId)
  await deps.events.emit(trx, {
    type: 'enrollment.contested',
    reason: 'certificate_replaced',
    enrollment_id: enrollmentId,
    serial_number: enrollment?.serial_number ?? null,
    data: { certificate: fingerprint.toString('hex'), attempt_id: enrollment?.attempt_id ?? null },
    request_id: requestId,
  })
}
