import { createSettings } from '../../src/features/settings/index.ts'
import { createUsers } from '../../src/features/users/index.ts'
import type { Db } from '../../src/db/index.ts'

/** Users and settings on a test's database. */
export function peopleOf(doors: Parameters<typeof createSettings>[0]) {
  const settings = createSettings(doors)
  return { settings, users: createUsers({ ...doors, settings }) }
}

/** Makes sure that there are OpenID providers of these ids. */
export async function addSources(db: Db, ...ids: string[]): Promise<void> {
  await db.kysely
    .insertInto('sign_in_sources')
    .values(ids.map((id) => ({ id, kind: 'oidc' as const, name: id, config: '{}' })))
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}
