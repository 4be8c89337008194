import type { PhoneFacts } from '../facts.ts'

/** It is enrolled: it said TokenUpdate, and it has neither left nor been erased. */
export function isEnrolled({ device }: PhoneFacts): boolean {
  return (
    device !== undefined &&
    device.unenrolled_at === null &&
    device.erased_at === null &&
    device.token_update_tally > 0
  )
}

/** It said Authenticate and no TokenUpdate yet. */
export function isHalfEnrolled({ device }: PhoneFacts): boolean {
  return (
    device !== undefined &&
    device.unenrolled_at === null &&
    device.erased_at === null &&
    device.token_update_tally === 0 &&
    device.authenticated_at !== null
  )
}

/** Apple has it for one of our servers. */
export function isOurs({ ade }: PhoneFacts): boolean {
  return (
    ade !== undefined && ade.released_at === null && ade.removed_at === null && ade.ade_server_id !== null
  )
}

/** What its way in still depends on. */
export function isToCome(facts: PhoneFacts): boolean {
  return !isEnrolled(facts) && isOurs(facts)
}

/** When it was last known to be there as one that is enrolled. */
export function lastAlive({ device }: PhoneFacts): Date | null {
  return device?.last_seen_at ?? device?.enrolled_at ?? null
}
