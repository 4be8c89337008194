import type { Tx } from '../../db/index.ts'
import { countOthers } from '../../db/statements/approvers.ts'
import type { Act } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { decodeCursor, page, type Page } from '../../kernel/paging.ts'
import * as store from './approvals-store.ts'
import type { Approval } from './approvals-store.ts'
import { carryOut, type Deed } from './carry-out.ts'
import { approve, end, noApproval, sweepApprovals } from './decide.ts'
import type { GovernorDeps } from './deps.ts'
import { tellApproval } from './keep.ts'

const BATCH = 100

/** What waits for a second person, or can still be taken back. */
export function createApprovals(deps: GovernorDeps) {
  const { db, clock } = deps
  const deeds = new Map<string, Deed>()

  async function get(id: string): Promise<Approval> {
    return (await store.findApproval(db.kysely, id)) ?? Promise.reject(noApproval())
  }

  return {
    /** Has acts of this kind carried out so. */
    carriesOut: (name: string, deed: Deed): void => void deeds.set(name, deed),
    /** Throws AppError `not_found`, `conflict`, `own_act`, `governor_stopped` and `stale`. */
    async approve(id: string, act: Act): Promise<Approval> {
      await approve(deps, deeds, id, act)
      return get(id)
    },
    /** Throws AppError `not_found`, `conflict` and `own_act`. */
    reject: (id: string, act: Act) => end(deps, id, 'rejected', act),
    /** Throws AppError `not_found` and `conflict`. */
    cancel: (id: string, act: Act) => end(deps, id, 'cancelled', act),
    /** Takes back all that can be, as part of a stop. */
    async cancelDue(trx: Tx, act: Act): Promise<void> {
      const ended = await store.cancelDue(trx, 'governor_stopped', clock.now())
      for (const approval of ended) await tellApproval(trx, deps, 'cancelled', approval, act)
    },
    get,
    /** The newest first. */
    async list({
      cursor,
      ...query
    }: {
      state?: Approval['state'] | undefined
      limit: number
      cursor?: string | undefined
    }): Promise<Page<Approval>> {
      const [before] = decodeCursor(cursor, ['string']) ?? []
      const rows = await store.listApprovals(db.kysely, { ...query, before, limit: query.limit + 1 })
      return page(rows, query.limit, ({ id }) => [id])
    },
    /** How many could approve it now. */
    others: ({ asked_by: by, makers, role }: Approval) =>
      countOthers(db.kysely, [by.id, ...makers], role, clock.now()),
    /** Job: carries out what can be taken back no more. */
    async carryOutDue(): Promise<void> {
      for (const id of await store.dueApprovals(db.kysely, clock.now(), BATCH))
        await carryOut(deps, deeds, id)
    },
    /** Job: ends what has waited too long. */
    sweep: () => sweepApprovals(deps),
    /** Deletes those decided so many days ago. */
    async forget(days: number): Promise<void> {
      const before = addTime(clock.now(), -days, 'day')
      while ((await store.deleteApprovalsBefore(db.kysely, before, BATCH)) === BATCH);
    },
  }
}
