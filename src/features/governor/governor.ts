import type { Tx } from '../../db/index.ts'
import type { Act, Actor } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { createApprovals } from './approvals.ts'
import { ask, foresee, WINDOW_MINUTES, type Verdict } from './ask.ts'
import type { Deed } from './carry-out.ts'
import type { GovernorDeps } from './deps.ts'
import type { Wanted } from './keep.ts'
import { compare, patched, withDefaults, type Limits, type LimitsPatch } from './limits.ts'
import { createRefusals } from './refusals.ts'
import * as store from './store.ts'

/** The limits as the API tells them. */
export type GovernorView = Limits &
  Pick<store.GovernorRow, 'stopped' | 'version' | 'created_at' | 'updated_at'>

/** What stops those who destroy too much. */
export type Governor = ReturnType<typeof createGovernor>

/** Counts acts that destroy something, has those above a limit wait for a second person, and stops all of them at a word. */
export function createGovernor(deps: GovernorDeps) {
  const { db, clock, events } = deps
  const approvals = createApprovals(deps)
  const refusals = createRefusals(deps)
  const stops: ((trx: Tx, act: Act) => Promise<void>)[] = []

  return {
    /** See `ask`. */
    ask: (trx: Tx, act: Act, wanted: Wanted & { isLater?: boolean }): Promise<Verdict> =>
      ask(trx, { ...deps, tellRefusal: refusals.tell }, act, wanted),
    approvals,
    carriesOut: (name: string, deed: Deed): void => approvals.carriesOut(name, deed),
    /** Has `work` done as part of a stop: what is not sent yet is cancelled. */
    onStop: (work: (trx: Tx, act: Act) => Promise<void>): void => void stops.push(work),
    /** See `foresee`. */
    foresee: (act: Act & { by: Actor }, wanted: Pick<Wanted, 'act' | 'deviceIds'>) =>
      foresee(deps, act, wanted),
    async view(): Promise<GovernorView> {
      return toView(await store.readGovernor(db.kysely))
    },
    /** Changes what the patch names; what lets more happen is told as that. Throws AppError `precondition_failed`. */
    put(patch: LimitsPatch, act: Act): Promise<GovernorView> {
      return db.transaction(async (trx) => {
        const row = await store.lockGovernor(trx)
        act.checkVersion(row.version)
        const before = withDefaults(row.settings)
        const after = patched(before, patch)
        const { changed, loosened } = compare(before, after)
        if (Object.keys(changed).length === 0) return toView(row)
        const written = await store.writeGovernor(trx, { settings: after }, clock.now())
        await events.emit(
          trx,
          loosened.length > 0
            ? { type: 'governor.loosened', act, data: { changed, loosened } }
            : { type: 'governor.changed', act, data: { changed } },
        )
        return toView(written)
      })
    },
    /** Cancels what was not sent yet of all such acts, and refuses new ones until `resume`. */
    stop(reason: string, act: Act): Promise<GovernorView> {
      return db.bulk(async (trx) => {
        const row = await store.lockGovernor(trx)
        const now = clock.now()
        const stopped = row.stopped ?? { reason, by: act.by, at: now.toISOString() }
        const written = row.stopped ? row : await store.writeGovernor(trx, { stopped }, now)
        await approvals.cancelDue(trx, act)
        for (const work of stops) await work(trx, act)
        if (!row.stopped) await events.emit(trx, { type: 'governor.stopped', act, data: { reason } })
        return toView(written)
      })
    },
    /** Throws AppError `conflict` when nothing is stopped. */
    resume(reason: string, act: Act): Promise<GovernorView> {
      return db.transaction(async (trx) => {
        const row = await store.lockGovernor(trx)
        if (row.stopped === null) throw new AppError('conflict', 'Nothing is stopped.')
        const written = await store.writeGovernor(trx, { stopped: null }, clock.now())
        await events.emit(trx, { type: 'governor.resumed', act, data: { reason } })
        return toView(written)
      })
    },
    /** Job: forgets what counts no more, and ends what has waited too long. */
    async sweep(): Promise<void> {
      await store.deleteUsesBefore(db.kysely, addTime(clock.now(), -WINDOW_MINUTES, 'minute'))
      await approvals.sweep()
    },
    /** Waits until all that was refused is told. */
    close: refusals.close,
  }
}

function toView({ settings, ...row }: store.GovernorRow): GovernorView {
  return { ...withDefaults(settings), ...row }
}
