import { addTime } from '../../kernel/clock.ts'

/** A device that said Authenticate and no TokenUpdate within this time has given up. */
export const HALF_ENROLLED_MINUTES = 60

/** Who said Authenticate then or before, and nothing after it, is not enrolled any more. */
export function halfEnrolledSince(now: Date): Date {
  return addTime(now, -HALF_ENROLLED_MINUTES, 'minute')
}
