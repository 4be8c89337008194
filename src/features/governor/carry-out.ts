import type { Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import { GONE, marksOf } from '../../db/statements/approvers.ts'
import { actAsTold, type Act } from '../../kernel/act.ts'
import { AppError } from '../../kernel/errors.ts'
import { lockApproval, updateApproval, type Approval } from './approvals-store.ts'
import type { GovernorDeps } from './deps.ts'
import { tellApproval } from './keep.ts'
import { lockGovernor } from './store.ts'

/** What is to be carried out now. */
export interface CarriedOut {
  act: Act
  params: unknown
  /** Those of the devices that are what they were when it was asked for. */
  deviceIds: readonly string[]
}

/**
 * How acts of a kind are carried out later: as part of a transaction or, where another server is asked, outside of any; that may come
 * twice.
 */
export type Deed =
  { inside: (trx: Tx, what: CarriedOut) => Promise<void> } | { outside: (what: CarriedOut) => Promise<void> }

/** How each kind of act is carried out, by its name. */
export type Deeds = ReadonlyMap<string, Deed>

/** See `Deed`. */
export function deedOf(deeds: Deeds, { deed }: Approval): Deed {
  const known = deeds.get(deed)
  if (known === undefined) throw new Error(`Nobody carries out ${deed}.`)
  return known
}

/** Carries out what was approved as part of `trx`. Errors: `stale`, and those of the act. */
export async function finish(
  trx: Tx,
  deps: GovernorDeps,
  run: (trx: Tx, what: CarriedOut) => Promise<void>,
  approval: Approval,
): Promise<void> {
  const { what, skipped } = await prepare(trx, deps, approval)
  await run(trx, what)
  const now = deps.clock.now()
  await updateApproval(trx, approval.id, { done_at: now, skipped_ids: skipped }, now)
}

/** Errors: `stale` when none of its devices is what it was. */
async function prepare(
  trx: Tx,
  { secretBox }: GovernorDeps,
  approval: Approval,
): Promise<{ what: CarriedOut; skipped: string[] }> {
  const { id, device_ids: ids, params, asked_by: by, via, makers } = approval
  const marks = await marksOf(trx, ids)
  const isSame = (at: number) => marks[at] === approval.marks[at] && marks[at]?.endsWith(GONE) === false
  const deviceIds = ids.filter((_, at) => isSame(at))
  if (deviceIds.length === 0)
    throw new AppError('stale', 'None of the devices is what it was when this was asked for.')
  const what = {
    act: { ...actAsTold({ by, via }), makers, approval_id: id },
    params: JSON.parse(secretBox.open(params, SEALED_FOR.approval(id)).toString('utf8')) as unknown,
    deviceIds,
  }
  return { what, skipped: ids.filter((_, at) => !isSame(at)) }
}

/** Carries out what is due; what cannot be done is cancelled, and the reason told. */
export async function carryOut(deps: GovernorDeps, deeds: Deeds, id: string): Promise<void> {
  const { db, clock, log } = deps
  try {
    const outside = await db.transaction(async (trx) => {
      const governor = await lockGovernor(trx)
      const approval = await lockApproval(trx, id)
      const isDue = approval?.state === 'approved' && approval.done_at === null
      if (!isDue || governor.stopped !== null) return undefined
      const deed = deedOf(deeds, approval)
      if ('outside' in deed) return { run: deed.outside, ...(await prepare(trx, deps, approval)) }
      await finish(trx, deps, deed.inside, approval)
      return undefined
    })
    if (outside === undefined) return
    await outside.run(outside.what)
    const now = clock.now()
    const set = { done_at: now, skipped_ids: outside.skipped }
    await db.transaction(async (trx) => void (await updateApproval(trx, id, set, now)))
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'database_unavailable') throw error
    log.warn({ event: 'approval.failed', approval_id: id, err: error }, error.message)
    await db.transaction(async (trx) => {
      const set = { state: 'cancelled', reason: error.code, due_at: null } as const
      const failed = await updateApproval(trx, id, set, clock.now())
      await tellApproval(trx, deps, 'cancelled', failed)
    })
  }
}
