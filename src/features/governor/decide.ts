import type { Tx } from '../../db/index.ts'
import { tokenStands } from '../../db/statements/approvers.ts'
import type { Act } from '../../kernel/act.ts'
import { addTime } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import * as store from './approvals-store.ts'
import type { Approval } from './approvals-store.ts'
import { carryOut, deedOf, finish, type Deeds } from './carry-out.ts'
import type { GovernorDeps } from './deps.ts'
import { tellApproval } from './keep.ts'
import { withDefaults } from './limits.ts'
import { lockGovernor } from './store.ts'

const SWEEP_BATCH = 100

/** Errors: `not_found`, `conflict`, `own_act`, `governor_stopped` and `stale`. */
export async function approve(deps: GovernorDeps, deeds: Deeds, id: string, act: Act): Promise<void> {
  const { db, clock } = deps
  const isLeft = await db.transaction(async (trx) => {
    // In the order in which whoever asks for an act takes them.
    const governor = await lockGovernor(trx)
    const approval = await lockOpen(trx, deps, id)
    if (isOwn(approval, act)) throw new AppError('own_act')
    if (governor.stopped !== null) throw new AppError('governor_stopped')
    if (await isAskerGone(trx, deps, approval))
      throw new AppError('stale', 'Who asked for it may not do so any more.')
    const now = clock.now()
    const undo = withDefaults(governor.settings).undo_minutes
    const decided = { state: 'approved', decided_by: act.by, decided_at: now } as const
    const set = { ...decided, due_at: addTime(now, undo, 'minute') }
    const approved = await store.updateApproval(trx, id, set, now)
    await tellApproval(trx, deps, 'approved', approved, act)
    const deed = deedOf(deeds, approved)
    if (undo > 0) return false
    if ('outside' in deed) return true
    await finish(trx, deps, deed.inside, approved)
    return false
  })
  if (isLeft) await carryOut(deps, deeds, id)
}

/** Ends one that waits or can still be taken back. Errors: `not_found`, `conflict`, `own_act`. */
export function end(
  deps: GovernorDeps,
  id: string,
  state: 'rejected' | 'cancelled',
  act: Act,
): Promise<Approval> {
  return deps.db.transaction(async (trx) => {
    const approval = await store.lockApproval(trx, id)
    const isUndoable = state === 'cancelled' && approval?.state === 'approved' && approval.done_at === null
    const open = isUndoable ? approval : await lockOpen(trx, deps, id)
    if (state === 'rejected' && isOwn(open, act)) throw new AppError('own_act')
    const now = deps.clock.now()
    const set = { state, due_at: null, decided_by: act.by, decided_at: now }
    const ended = await store.updateApproval(trx, id, set, now)
    await tellApproval(trx, deps, state, ended, act)
    return ended
  })
}

/** Ends what has waited too long, and what was asked for by somebody who may not any more. A background job. */
export async function sweepApprovals(deps: GovernorDeps): Promise<void> {
  for (let after = ''; ;) {
    const waiting = await deps.db.transaction(async (trx) => {
      const rows = await store.lockWaiting(trx, after, SWEEP_BATCH)
      for (const approval of rows) await endIfOver(trx, deps, approval)
      return rows
    })
    if (waiting.length < SWEEP_BATCH) return
    after = waiting.at(-1)!.id
  }
}

async function endIfOver(trx: Tx, deps: GovernorDeps, approval: Approval): Promise<void> {
  const now = deps.clock.now()
  const isOver = approval.expires_at <= now
  if (!isOver && !(await isAskerGone(trx, deps, approval))) return
  const set = isOver
    ? ({ state: 'expired' } as const)
    : ({ state: 'cancelled', reason: 'asker_gone' } as const)
  const ended = await store.updateApproval(trx, approval.id, set, now)
  await tellApproval(trx, deps, set.state, ended)
}

/** One that waits, locked. */
async function lockOpen(trx: Tx, { clock }: GovernorDeps, id: string): Promise<Approval> {
  const approval = await store.lockApproval(trx, id)
  if (approval === undefined) throw noApproval()
  const isOver = approval.state === 'waiting' && approval.expires_at <= clock.now()
  const state = isOver ? 'expired' : approval.state
  if (state !== 'waiting') throw new AppError('conflict', `This is ${state}; it waits for nobody.`)
  return approval
}

async function isAskerGone(
  trx: Tx,
  { clock }: GovernorDeps,
  { asked_by: by, role }: Approval,
): Promise<boolean> {
  return by.kind === 'api_token' && !(await tokenStands(trx, by.id, role, clock.now()))
}

/** Whether who decides is who asked, what made the asking token, or a token that these made. */
function isOwn({ asked_by: by, makers }: Approval, { by: decider, makers: chain }: Act): boolean {
  const asking = new Set([by.id, ...makers])
  return decider === null || asking.has(decider.id) || chain.some((id) => asking.has(id))
}

/** There is no such approval. */
export function noApproval(): AppError {
  return new AppError('not_found', 'There is no approval with this id.')
}
