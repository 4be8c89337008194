import type { Queries } from '../../../db/index.ts'
import { createRecent } from './recent.ts'
import { findRevisionRows, type RevisionKey } from './store.ts'

const MOST_KEPT = 5_000

/** What the engine asks of a revision of a profile; it never changes. */
export interface ProfileFacts extends RevisionKey {
  identifier: string
  scope: 'system' | 'user'
  display_name: string | null
  /** The variables in its texts, by name. */
  variables: readonly string[]
  /** Those of them without a value for which it cannot be sent. */
  needed: readonly string[]
  /** Bundle ids of the apps that it locks a device to. */
  app_lock_ids: readonly string[]
  /** When devices remove it by themselves. */
  removal_date: Date | null
}

/** Finds revisions, and remembers those that were asked for last. */
export function createRevisions() {
  const recent = createRecent<ProfileFacts>({ room: MOST_KEPT, sizeOf: () => 1 })

  /** Those of these revisions that there are, in any order; each once. */
  async function find(db: Queries, keys: readonly RevisionKey[]): Promise<ProfileFacts[]> {
    const wanted = new Map(keys.map((key) => [nameOf(key), key]))
    const known = [...wanted.keys()].flatMap((name) => recent.find(name) ?? [])
    for (const facts of known) wanted.delete(nameOf(facts))
    const rows = await findRevisionRows(db, [...wanted.values()])
    const read = rows.map(({ profile_id, revision, facts }): ProfileFacts => {
      const { identifier, scope, display_name, variables, app_lock_ids, removal_date } = facts
      // Of one that was stored before this was known it is found at sending.
      const needed = facts.needed ?? []
      return {
        ...{ id: profile_id, revision, identifier, scope, display_name, variables, needed, app_lock_ids },
        removal_date: removal_date === null ? null : new Date(removal_date),
      }
    })
    for (const facts of read) recent.keep(nameOf(facts), facts)
    return [...known, ...read]
  }

  return {
    find,
    async findOne(db: Queries, key: RevisionKey): Promise<ProfileFacts | undefined> {
      const [facts] = await find(db, [key])
      return facts
    },
  }
}

function nameOf({ id, revision }: RevisionKey): string {
  return `${id}:${revision}`
}
