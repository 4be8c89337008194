import { resealColumn } from '../../db/index.ts'
import type { EnrollmentDeps } from './deps.ts'
import { keyContext } from './links.ts'
import { messageContext, tokenContext } from './messages.ts'
import { SEALED_LINK_KEYS } from './store.ts'

/**
 * Seals anew what is sealed with the previous secret key: keys of links, tokens and messages of devices. Gives the
 * number of values.
 */
export async function reseal(deps: Pick<EnrollmentDeps, 'db' | 'secretBox' | 'devices'>): Promise<number> {
  const { db, secretBox, devices } = deps
  const links = await resealColumn(db, secretBox, {
    ...SEALED_LINK_KEYS,
    context: ({ id }: { id: string }) => keyContext(id),
  })
  const others = await devices.reseal(secretBox, {
    unlockToken: (id) => tokenContext(id, 'unlock'),
    bootstrapToken: (id) => tokenContext(id, 'bootstrap'),
    message: messageContext,
  })
  return links + others
}
