import type { Queries, Tx } from '../../db/index.ts'
import type { Act, Actor } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Approval } from './approvals-store.ts'
import type { GovernorDeps } from './deps.ts'
import { keepApproval, tellApproval, type Wanted } from './keep.ts'
import { fits, withDefaults, type Limits } from './limits.ts'
import * as store from './store.ts'

/** A limit counts what was accepted in so many minutes. */
export const WINDOW_MINUTES = 60

/** What becomes of an act: it waits for an approval, or may be done, and taken back until then. */
export interface Verdict {
  approval: Approval | null
  undoUntil: Date | null
}

const FREE: Verdict = { approval: null, undoUntil: null }

type AskDeps = GovernorDeps & {
  /** Has told that an act was refused, though its transaction is rolled back. */
  tellRefusal: (act: Act, wanted: Wanted, reason: 'governor_limit' | 'governor_stopped') => void
}

/**
 * Whether an act may be done as part of `trx`, which must do it then: it is counted. Nobody else is asked until `trx` ends, so ask last
 * of all. With `isLater` something that can be taken back is carried out later, as an approval that has been given.
 * Errors: `governor_stopped`, and `governor_limit` where nothing waits; both are told though `trx` is rolled back.
 */
export async function ask(
  trx: Tx,
  deps: AskDeps,
  act: Act,
  wanted: Wanted & { isLater?: boolean },
): Promise<Verdict> {
  const { by } = act
  if (by === null || wanted.deviceIds.length === 0) return FREE
  const refuse = (reason: 'governor_limit' | 'governor_stopped') => {
    deps.tellRefusal(act, wanted, reason)
    return new AppError(reason)
  }
  const row = await store.lockGovernor(trx)
  if (row.stopped !== null) throw refuse('governor_stopped')
  if (act.approval_id !== undefined) return FREE
  const limits = withDefaults(row.settings)
  const now = deps.clock.now()
  const asked = { ...act, by }
  const use = useOf(asked, wanted, now)
  if (!(await isWithin(trx, limits, use))) {
    if (limits.above === 'refuse' || act.via === 'nanomdm') throw refuse('governor_limit')
    const expiresAt = addTime(now, limits.approval_expires_minutes, 'minute')
    const approval = await keepApproval(trx, deps, asked, { ...wanted, expiresAt, dueAt: null })
    await tellApproval(trx, deps, 'requested', approval, act)
    return { approval, undoUntil: null }
  }
  await store.insertUse(trx, use)
  if (limits.undo_minutes === 0) return FREE
  const undoUntil = addTime(now, limits.undo_minutes, 'minute')
  if (!wanted.isLater) return { approval: null, undoUntil }
  const approval = await keepApproval(trx, deps, asked, { ...wanted, expiresAt: undoUntil, dueAt: undoUntil })
  return { approval, undoUntil }
}

/** Whether an act would be done at once, if it were asked for now. */
export async function foresee(
  { db, clock }: GovernorDeps,
  act: Act & { by: Actor },
  wanted: Pick<Wanted, 'act' | 'deviceIds'>,
): Promise<boolean> {
  const row = await store.readGovernor(db.kysely)
  const use = useOf(act, wanted, clock.now())
  return row.stopped === null && isWithin(db.kysely, withDefaults(row.settings), use)
}

function useOf({ by }: { by: Actor }, { act, deviceIds }: Pick<Wanted, 'act' | 'deviceIds'>, at: Date) {
  return { act, asker: `${by.kind}:${by.id}`, devices: deviceIds.length, at }
}

async function isWithin(db: Queries, limits: Limits, use: ReturnType<typeof useOf>): Promise<boolean> {
  const since = addTime(use.at, -WINDOW_MINUTES, 'minute')
  const used = await store.usesSince(db, use.act, use.asker, since)
  return fits(limits.acts[use.act], used, use.devices)
}
