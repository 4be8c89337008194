import type { Act } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
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
    const until = addTime(deps.clock.now(), ALLOWED_MINUTES, 'minute')
    await deps.devices.updateEnrollment(trx, enrollment.id, { re_enrollment_until: until })
    await deps.events.emit(trx, {
      type: 'enrollment.re_enrollment_allowed',
      act,
      enrollment_id: enrollment.id,
      serial_number: enrollment.serial_number,
      data: { allowed_until: until.toISOString() },
    })
    return until
  })
}
