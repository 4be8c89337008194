import type { Act } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Tx } from '../../db/index.ts'
import type { Enrollment } from '../devices/index.ts'
import type { EnrollmentDeps } from './deps.ts'

/** An operator's word holds for so long, and for one identity. */
const ALLOWED_MINUTES = 60

/**
 * Allows that another identity takes the place of a live enrollment, once; gives until when. Throws `not_found`, and `conflict` for
 * what is not a device that is enrolled.
 */
export function allowReEnrollment(
  deps: Pick<EnrollmentDeps, 'clock' | 'db' | 'devices' | 'events'>,
  id: string,
  act: Act,
): Promise<Date> {
  return deps.db.transaction(async (trx) => {
    const enrollment = await deps.devices.lockEnrollment(trx, id)
    if (enrollment === undefined) throw new AppError('not_found', `There is no device ${id}.`)
    if (enrollment.unenrolled_at !== null || enrollment.parent_id !== null)
      throw new AppError('conflict', 'Only the place of a device that is enrolled can be given to another.')
    return giveWord(trx, deps, enrollment, act)
  })
}

/** The same for a device, which is locked, that is known to be enrolled. */
export async function giveWord(
  trx: Tx,
  deps: Pick<EnrollmentDeps, 'clock' | 'devices' | 'events'>,
  { id, serial_number }: Pick<Enrollment, 'id' | 'serial_number'>,
  act: Act,
  more: Pick<Partial<Enrollment>, 'awaits_certificate'> = {},
): Promise<Date> {
  const until = addTime(deps.clock.now(), ALLOWED_MINUTES, 'minute')
  await deps.devices.updateEnrollment(trx, id, { re_enrollment_until: until, ...more })
  await deps.events.emit(trx, {
    type: 'enrollment.re_enrollment_allowed',
    act,
    enrollment_id: id,
    serial_number,
    data: { allowed_until: until.toISOString() },
  })
  return until
}
