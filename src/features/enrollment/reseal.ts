import type { EnrollmentDeps } from './deps.ts'
import { messageContext, tokenContext } from './messages.ts'

/** Seals anew what is sealed with the previous secret key: tokens and messages of devices. Gives the number of values. */
export function reseal({
  devices,
  secretBox,
}: Pick<EnrollmentDeps, 'secretBox' | 'devices'>): Promise<number> {
  return devices.reseal(secretBox, {
    unlockToken: (id) => tokenContext(id, 'unlock'),
    bootstrapToken: (id) => tokenContext(id, 'bootstrap'),
    message: messageContext,
  })
}
