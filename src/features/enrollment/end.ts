import type { Tx } from '../../db/index.ts'
import { newAppleUuid } from '../../kernel/ids.ts'
import { actOfServer, type Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { buildCommand } from '../../protocol/mdm/index.ts'
import type { EnrollmentDeps } from './deps.ts'
import { halfEnrolledSince, type Enrollment } from '../devices/index.ts'
import type { Approval, CarriedOut, Verdict } from '../governor/index.ts'
import { isAutomated } from '../entry/index.ts'
import { profileIdentifier } from '../entry/index.ts'

const BATCH = 100
/** The name by which the governor knows that a device is to be forgotten. */
export const FORGET = 'devices.forget'

/** Why an enrollment ended. */
type EndReason = 'checked_out' | 'profile_removed' | 'abandoned' | 'deleted' | 'serial_number_moved'

/** Ends an enrollment: its place is free, its queue cancelled, its certificates and user channels over. */
export async function endEnrollment(
  trx: Tx,
  deps: EnrollmentDeps,
  enrollment: Enrollment,
  reason: EndReason,
  act: Act,
): Promise<void> {
  const now = deps.clock.now()
  const ids = [enrollment.id, ...(await deps.devices.userChannelIds(trx, enrollment.id))]
  await Promise.all(
    ids.map((id) =>
      deps.devices.updateEnrollment(trx, id, {
        unenrolled_at: now,
        unenroll_reason: reason,
        awaiting_configuration: false,
        push_token: null,
        push_magic: null,
        push_state: 'waiting_for_token',
        updated_at: now,
      }),
    ),
  )
  await deps.identity.endAll(trx, enrollment.id, reason === 'serial_number_moved' ? 'replaced' : 'ended')
  await deps.commands.cancelAll(trx, act, ids, 'unenrolled')
  await deps.push.forget(trx, ids)
  await deps.groups.removeDevice(trx, enrollment.id, act)
  await noteLeft(trx, deps, enrollment)
  await deps.events.emit(trx, {
    type: reason === 'checked_out' ? 'device.checked_out' : 'device.unenrolled',
    act,
    enrollment_id: enrollment.id,
    serial_number: enrollment.serial_number,
    reason,
  })
}

/** Notes at its serial number that a device which came by automated enrollment has left. */
export async function noteLeft(
  trx: Tx,
  deps: Pick<EnrollmentDeps, 'ade' | 'clock'>,
  { way, serial_number, enrolled_at }: Enrollment,
): Promise<void> {
  if (isAutomated(way) && serial_number !== null && enrolled_at !== null)
    await deps.ade.noteUnenrolled(trx, serial_number, deps.clock.now())
}

/** Finishes what the poll statement began when the removal of the enrollment profile was acknowledged. */
export function finishRemoval(trx: Tx, deps: EnrollmentDeps, enrollment: Enrollment): Promise<void> {
  return endEnrollment(trx, deps, enrollment, 'profile_removed', actOfServer('device'))
}

/** The RemoveProfile command, or what waits for a second person. */
type Unenrolling = Verdict & { command_uuid: string }

/** Queues the removal of our profile from a device; it has left when it acknowledges that, or says CheckOut. */
export function requestUnenroll(deps: EnrollmentDeps, id: string, act: Act): Promise<Unenrolling> {
  return deps.db.transaction(async (trx) => {
    const enrollment = await deps.devices.lockEnrollment(trx, id)
    if (!enrollment) throw new AppError('not_found', `There is no device ${id}.`)
    if (enrollment.unenrolled_at !== null || enrollment.parent_id !== null)
      throw new AppError('conflict', 'Only a device that is enrolled can be unenrolled.')
    return queueUnenroll(trx, deps, enrollment, act)
  })
}

/** The same for a device that is known to be enrolled, as part of `trx`. */
export async function queueUnenroll(
  trx: Tx,
  deps: Pick<EnrollmentDeps, 'commands' | 'instanceId' | 'inventory'>,
  enrollment: Enrollment,
  act: Act,
): Promise<Unenrolling> {
  const uuid = newAppleUuid()
  const identifier = await managingProfile(trx, deps, enrollment)
  const verdict = await deps.commands.enqueue(trx, act, {
    uuid,
    requestType: 'RemoveProfile',
    body: buildCommand(uuid, 'RemoveProfile', { Identifier: identifier }),
    targets: [enrollment.id],
    priority: 'high',
    purpose: 'unenroll',
  })
  return { ...verdict, command_uuid: uuid }
}

/** The profile by which a device is managed: ours, but for one that moved in from another server. */
async function managingProfile(
  trx: Tx,
  { instanceId, inventory }: Pick<EnrollmentDeps, 'instanceId' | 'inventory'>,
  { id, attempt_id }: Enrollment,
): Promise<string> {
  if (attempt_id !== null) return profileIdentifier(instanceId)
  const listed = await inventory.managingProfile(trx, id)
  if (listed === undefined)
    throw new AppError(
      'conflict',
      'It moved in from another server, and has not yet told by which profile it is managed: refresh its inventory.',
    )
  return listed
}

/**
 * Forgets a device. One that is still enrolled only with `force`: it is then told so at its next contact, and that counts as its
 * unenrolment. Gives what waits for a second person, or null.
 */
export function deleteDevice(
  deps: EnrollmentDeps,
  id: string,
  act: Act,
  { force }: { force: boolean },
): Promise<Approval | null> {
  return deps.db.transaction(async (trx) => {
    const enrollment = await deps.devices.lockEnrollment(trx, id)
    if (!enrollment) throw new AppError('not_found', `There is no device ${id}.`)
    if (enrollment.unenrolled_at === null) {
      if (!force)
        throw new AppError(
          'conflict',
          'The device is still enrolled: unenroll it first, or delete it with force=true.',
        )
      const { approval } = await deps.governor.ask(trx, act, {
        ...{ act: 'unenroll', deviceIds: [id], role: 'operator' },
        ...{ deed: FORGET, params: {}, isLater: true },
      })
      if (approval !== null) return approval
    }
    await forgetDevice(trx, deps, enrollment, act)
    return null
  })
}

/** Forgets a device that a second person has agreed to forget. */
export async function carryOutForgetting(
  trx: Tx,
  deps: EnrollmentDeps,
  { act, deviceIds }: CarriedOut,
): Promise<void> {
  for (const id of deviceIds) {
    const enrollment = await deps.devices.lockEnrollment(trx, id)
    if (enrollment) await forgetDevice(trx, deps, enrollment, act)
  }
}

async function forgetDevice(trx: Tx, deps: EnrollmentDeps, enrollment: Enrollment, act: Act): Promise<void> {
  if (enrollment.unenrolled_at === null) await endEnrollment(trx, deps, enrollment, 'deleted', act)
  await deps.groups.removeDevice(trx, enrollment.id, act)
  await deps.devices.deleteEnrollment(trx, enrollment.id)
  await deps.events.emit(trx, {
    type: 'device.deleted',
    act,
    enrollment_id: enrollment.id,
    serial_number: enrollment.serial_number,
  })
}

/** Ends enrollments that never got beyond Authenticate. A background job. */
export async function abandonHalfEnrolled(deps: EnrollmentDeps): Promise<void> {
  for (;;) {
    const count = await deps.db.transaction(async (trx) => {
      const half = await deps.devices.lockHalfEnrolled(trx, halfEnrolledSince(deps.clock.now()), BATCH)
      for (const enrollment of half) await endEnrollment(trx, deps, enrollment, 'abandoned', actOfServer())
      return half.length
    })
    if (count < BATCH) return
  }
}
