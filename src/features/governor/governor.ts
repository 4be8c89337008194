import type { Tx } from '../../db/index.ts'
import type { Act, Actor } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Approval } from './approvals-store.ts'
import { createApprovals, type ApprovalDeps, type Deed, type Wanted } from './approvals.ts'
import { compare, fits, patched, withDefaults, type Limits, type LimitsPatch } from './limits.ts'
import * as store from './store.ts'

/** A limit counts what was accepted in so many minutes. */
const WINDOW_MINUTES = 60

/** What becomes of an act: it waits for an approval, or may be done, and taken back until then. */
export interface Verdict {
  approval: Approval | null
  undoUntil: Date | null
}

const FREE: Verdict = { approval: null, undoUntil: null }

/** The limits as the API tells them. */
export type GovernorView = Limits &
  Pick<store.GovernorRow, 'stopped' | 'version' | 'created_at' | 'updated_at'>

/** What stops those who destroy too much. */
export type Governor = ReturnType<typeof createGovernor>

/** Counts acts that destroy something, has those above a limit wait for a second person, and stops all of them at a word. */
export function createGovernor(deps: ApprovalDeps) {
  const { db, clock, log, events } = deps
  const approvals = createApprovals(deps)
  const stops: ((trx: Tx, act: Act) => Promise<void>)[] = []
  const telling = new Set<Promise<void>>()

  /**
   * Whether an act may be done as part of `trx`, which must do it then: it is counted. Nobody else is asked until `trx` ends, so ask last
   * of all. With `isLater` something that can be taken back is carried out later, as an approval that has been given.
   * Errors: `governor_stopped`, and `governor_limit` where nothing waits; both are told though `trx` is rolled back.
   */
  async function ask(trx: Tx, act: Act, wanted: Wanted & { isLater?: boolean }): Promise<Verdict> {
    const { by } = act
    if (by === null || wanted.deviceIds.length === 0) return FREE
    const row = await store.lockGovernor(trx)
    if (row.stopped !== null) throw refuse(act, wanted, 'governor_stopped')
    if (act.approval_id !== undefined) return FREE
    const limits = withDefaults(row.settings)
    const now = clock.now()
    const use = { act: wanted.act, asker: `${by.kind}:${by.id}`, devices: wanted.deviceIds.length, at: now }
    const asked = { ...act, by }
    if (!(await isWithin(trx, limits, use))) {
      if (limits.above === 'refuse' || act.via === 'nanomdm') throw refuse(act, wanted, 'governor_limit')
      const expiresAt = addTime(now, limits.approval_expires_minutes, 'minute')
      const approval = await approvals.keep(trx, asked, wanted, { expiresAt, dueAt: null })
      await approvals.tell(trx, 'requested', approval, act)
      return { approval, undoUntil: null }
    }
    await store.insertUse(trx, use)
    if (limits.undo_minutes === 0) return FREE
    const undoUntil = addTime(now, limits.undo_minutes, 'minute')
    if (!wanted.isLater) return { approval: null, undoUntil }
    const approval = await approvals.keep(trx, asked, wanted, { expiresAt: undoUntil, dueAt: undoUntil })
    return { approval, undoUntil }
  }

  async function isWithin(
    trx: Tx | typeof db.kysely,
    limits: Limits,
    use: Parameters<typeof store.insertUse>[1],
  ): Promise<boolean> {
    const since = addTime(use.at, -WINDOW_MINUTES, 'minute')
    const used = await store.usesSince(trx, use.act, use.asker, since)
    return fits(limits.acts[use.act], used, use.devices)
  }

  /** The transaction that wanted the act is rolled back, so this is told in one of its own, after it. */
  function refuse(act: Act, wanted: Wanted, code: 'governor_limit' | 'governor_stopped'): AppError {
    const { deviceIds } = wanted
    const told = db
      .transaction((trx) =>
        events.emit(trx, {
          ...{ type: 'governor.refused', act, reason: code },
          enrollment_id: deviceIds.length === 1 && wanted.act !== 'release' ? deviceIds[0]! : null,
          data: { act: wanted.act, devices: deviceIds.length },
        }),
      )
      .catch((error: unknown) =>
        log.error({ event: 'governor.refusal_untold', err: error }, 'a refused act could not be told'),
      )
      .finally(() => telling.delete(told))
    telling.add(told)
    return new AppError(code)
  }

  function toView({ settings, ...row }: store.GovernorRow): GovernorView {
    return { ...withDefaults(settings), ...row }
  }

  return {
    ask,
    approvals,
    carriesOut: (name: string, deed: Deed): void => approvals.carriesOut(name, deed),
    /** Has `work` done as part of a stop: what is not sent yet is cancelled. */
    onStop: (work: (trx: Tx, act: Act) => Promise<void>): void => void stops.push(work),
    /** Whether an act would be done at once, if it were asked for now. */
    async foresee(act: Act & { by: Actor }, wanted: Pick<Wanted, 'act' | 'deviceIds'>): Promise<boolean> {
      const row = await store.readGovernor(db.kysely)
      const use = {
        ...{ act: wanted.act, asker: `${act.by.kind}:${act.by.id}` },
        ...{ devices: wanted.deviceIds.length, at: clock.now() },
      }
      return row.stopped === null && isWithin(db.kysely, withDefaults(row.settings), use)
    },
    async view(): Promise<GovernorView> {
      return toView(await store.readGovernor(db.kysely))
    },
    /** Changes what the patch names; what lets more happen is told as that. Throws AppError `precondition_failed`. */
    async put(patch: LimitsPatch, act: Act): Promise<GovernorView> {
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
    async stop(reason: string, act: Act): Promise<GovernorView> {
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
    async resume(reason: string, act: Act): Promise<GovernorView> {
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
    async close(): Promise<void> {
      await Promise.all(telling)
    },
  }
}
