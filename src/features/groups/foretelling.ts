import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { foretellGroups, type FactsBefore } from './membership/index.ts'
import { platformOf } from './rules/platform.ts'

/** In which groups devices will be. */
export function createForetelling({ db, clock }: { db: Db; clock: Clock }) {
  return {
    /** Groups with a rule of which a device will be a member, and those of which it may, before it enrols. */
    async foretell(device: Omit<FactsBefore, 'platform'> & { family: string | null }) {
      const { family, ...facts } = device
      const platform = platformOf(family, null) || null
      const rows = await foretellGroups(db.kysely, { ...facts, platform }, clock.now())
      const idsOf = (is: boolean | null) => rows.filter((row) => row.is_member === is).map(({ id }) => id)
      return { members: idsOf(true), unknown: idsOf(null) }
    },
  }
}
