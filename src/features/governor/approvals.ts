import type { Db, Tx } from '../../db/index.ts'
import { SEALED_FOR } from '../../db/sealed-columns.ts'
import { countOthers, GONE, marksOf, tokenStands } from '../../db/statements/approvers.ts'
import { actAsTold, type Act, type Actor } from '../../kernel/act.ts'
import { addTime, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { newId } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import { decodeCursor, page, type Page } from '../../kernel/paging.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Events } from '../events/index.ts'
import * as store from './approvals-store.ts'
import type { Approval } from './approvals-store.ts'
import type { GovernedAct } from './limits.ts'
import { lockGovernor } from './store.ts'
import { withDefaults } from './limits.ts'

const SWEEP_BATCH = 100
/** Devices that an event names. */
const MOST_TOLD = 100

/** What is to be done, and for which devices. */
export interface Wanted {
  act: GovernedAct
  /** Enrollments, or serial numbers of devices that are none. */
  deviceIds: readonly string[]
  /** The role that it needs. */
  role: 'operator' | 'admin'
  /** Who carries it out, see `Deed`. */
  deed: string
  /** With what; JSON. */
  params: unknown
}

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

export interface ApprovalDeps {
  db: Db
  clock: Clock
  log: Log
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
}

/** What waits for a second person, or can still be taken back. */
export function createApprovals(deps: ApprovalDeps) {
  const { db, clock, log, secretBox, events } = deps
  const deeds = new Map<string, Deed>()

  /** Writes down what is to be done later: when a second person says so or, with `dueAt`, then. */
  async function keep(
    trx: Tx,
    act: Act & { by: Actor },
    wanted: Wanted,
    when: { expiresAt: Date; dueAt: Date | null },
  ): Promise<Approval> {
    const now = clock.now()
    const id = newId(now)
    const { deviceIds, deed, role } = wanted
    return store.insertApproval(trx, {
      ...{ id, deed, role, act: wanted.act, device_ids: [...deviceIds] },
      marks: await marksOf(trx, deviceIds),
      state: when.dueAt === null ? 'waiting' : 'approved',
      params: secretBox.seal(Buffer.from(JSON.stringify(wanted.params)), SEALED_FOR.approval(id)),
      ...{ asked_by: act.by, makers: [...act.makers], via: act.via },
      ...{ expires_at: when.expiresAt, due_at: when.dueAt, created_at: now, updated_at: now },
      ...{ reason: null, decided_by: null, decided_at: null, done_at: null },
    })
  }

  function tell(
    trx: Tx,
    type: 'requested' | 'approved' | 'rejected' | 'expired' | 'cancelled',
    approval: Approval,
    act?: Act,
  ): Promise<void> {
    const { device_ids: ids, marks, reason } = approval
    const only = ids.length === 1 ? ids[0]! : null
    const isEnrollment = marks[0] !== ''
    return events.emit(trx, {
      type: `approval.${type}`,
      ...(act && { act }),
      enrollment_id: isEnrollment ? only : null,
      serial_number: isEnrollment ? null : only,
      ...(reason !== null && { reason }),
      data: {
        approval_id: approval.id,
        act: approval.act,
        devices: ids.length,
        device_ids: ids.slice(0, MOST_TOLD),
        asked_by: approval.asked_by,
      },
    })
  }

  /** One that waits, locked. Errors: `not_found`, `conflict`, `governor_stopped`. */
  async function lockOpen(trx: Tx, id: string): Promise<Approval> {
    const approval = await store.lockApproval(trx, id)
    if (approval === undefined) throw missing()
    const isOver = approval.state === 'waiting' && approval.expires_at <= clock.now()
    const state = isOver ? 'expired' : approval.state
    if (state !== 'waiting') throw new AppError('conflict', `This is ${state}; it waits for nobody.`)
    return approval
  }

  async function isAskerGone({ asked_by: by, role }: Approval, trx: Tx): Promise<boolean> {
    return by.kind === 'api_token' && !(await tokenStands(trx, by.id, role, clock.now()))
  }

  async function approve(id: string, act: Act): Promise<Approval> {
    const approved = await db.transaction(async (trx) => {
      // In the order in which whoever asks for an act takes them.
      const governor = await lockGovernor(trx)
      const approval = await lockOpen(trx, id)
      if (isOwn(approval, act)) throw new AppError('own_act')
      if (governor.stopped !== null) throw new AppError('governor_stopped')
      if (await isAskerGone(approval, trx)) throw stale('Who asked for it may not do so any more.')
      const now = clock.now()
      const undo = withDefaults(governor.settings).undo_minutes
      const decided = { state: 'approved', decided_by: act.by, decided_at: now } as const
      const due = await store.updateApproval(
        trx,
        id,
        { ...decided, due_at: addTime(now, undo, 'minute') },
        now,
      )
      await tell(trx, 'approved', due, act)
      const deed = deedOf(approval)
      return undo === 0 && 'inside' in deed ? finish(trx, deed.inside, due) : due
    })
    if (approved.done_at === null && approved.due_at !== null && approved.due_at <= clock.now())
      await carryOut(id)
    return get(id)
  }

  async function finish(
    trx: Tx,
    run: (trx: Tx, what: CarriedOut) => Promise<void>,
    approval: Approval,
  ): Promise<Approval> {
    const { what, skipped } = await prepare(trx, approval)
    await run(trx, what)
    return store.updateApproval(trx, approval.id, { done_at: clock.now(), skipped_ids: skipped }, clock.now())
  }

  /** Errors: `stale` when none of its devices is what it was. */
  async function prepare(trx: Tx, approval: Approval): Promise<{ what: CarriedOut; skipped: string[] }> {
    const { id, device_ids: ids, params, asked_by: by, via, makers } = approval
    const marks = await marksOf(trx, ids)
    const isSame = (at: number) => marks[at] === approval.marks[at] && marks[at]?.endsWith(GONE) === false
    const deviceIds = ids.filter((_, at) => isSame(at))
    if (deviceIds.length === 0 && ids.length > 0)
      throw stale('None of the devices is what it was when this was asked for.')
    const what = {
      act: { ...actAsTold({ by, via }), makers, approval_id: id },
      params: JSON.parse(secretBox.open(params, SEALED_FOR.approval(id)).toString('utf8')) as unknown,
      deviceIds,
    }
    return { what, skipped: ids.filter((_, at) => !isSame(at)) }
  }

  /** Carries out what is due; what cannot be done is cancelled, and the reason told. */
  async function carryOut(id: string): Promise<void> {
    try {
      const outside = await db.transaction(async (trx) => {
        const governor = await lockGovernor(trx)
        const approval = await store.lockApproval(trx, id)
        const isDue = approval?.state === 'approved' && approval.done_at === null
        if (!isDue || governor.stopped !== null) return undefined
        const deed = deedOf(approval)
        if ('outside' in deed) return { run: deed.outside, ...(await prepare(trx, approval)) }
        await finish(trx, deed.inside, approval)
        return undefined
      })
      if (outside === undefined) return
      await outside.run(outside.what)
      const now = clock.now()
      const set = { done_at: now, skipped_ids: outside.skipped }
      await db.transaction(async (trx) => void (await store.updateApproval(trx, id, set, now)))
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'database_unavailable') throw error
      log.warn({ event: 'approval.failed', approval_id: id, err: error }, error.message)
      await end(id, 'cancelled', { reason: error.code })
    }
  }

  /** Ends one that waits or can still be taken back. */
  async function end(
    id: string,
    state: 'rejected' | 'cancelled',
    { act, reason = null }: { act?: Act; reason?: string | null },
  ): Promise<Approval> {
    return db.transaction(async (trx) => {
      const approval = await store.lockApproval(trx, id)
      if (approval === undefined) throw missing()
      const isUndoable = state === 'cancelled' && approval.state === 'approved' && approval.done_at === null
      if (!isUndoable) await lockOpen(trx, id)
      if (state === 'rejected' && act && isOwn(approval, act)) throw new AppError('own_act')
      const now = clock.now()
      const decided = act ? { decided_by: act.by, decided_at: now } : {}
      const ended = await store.updateApproval(trx, id, { state, reason, due_at: null, ...decided }, now)
      await tell(trx, state, ended, act)
      return ended
    })
  }

  async function get(id: string): Promise<Approval> {
    return (await store.findApproval(db.kysely, id)) ?? Promise.reject(missing())
  }

  /** Ends what has waited too long, and what was asked for by somebody who may not any more. */
  async function sweep(): Promise<void> {
    for (let after = ''; ;) {
      const waiting = await db.transaction(async (trx) => {
        const rows = await store.lockWaiting(trx, after, SWEEP_BATCH)
        const now = clock.now()
        for (const approval of rows) {
          const isOver = approval.expires_at <= now
          if (!isOver && !(await isAskerGone(approval, trx))) continue
          const set = isOver
            ? ({ state: 'expired' } as const)
            : ({ state: 'cancelled', reason: 'asker_gone' } as const)
          const ended = await store.updateApproval(trx, approval.id, set, now)
          await tell(trx, set.state, ended)
        }
        return rows
      })
      if (waiting.length < SWEEP_BATCH) return
      after = waiting.at(-1)!.id
    }
  }

  function deedOf({ deed }: Approval): Deed {
    const known = deeds.get(deed)
    if (known === undefined) throw new Error(`Nobody carries out ${deed}.`)
    return known
  }

  return {
    keep,
    tell,
    /** Has acts of this kind carried out so. */
    carriesOut: (name: string, deed: Deed): void => void deeds.set(name, deed),
    /** Throws AppError `not_found`, `conflict`, `own_act`, `governor_stopped` and `stale`. */
    approve,
    reject: (id: string, act: Act) => end(id, 'rejected', { act }),
    cancel: (id: string, act: Act) => end(id, 'cancelled', { act }),
    /** Takes back all that can be, as part of a stop. */
    async cancelDue(trx: Tx, act: Act): Promise<void> {
      const ended = await store.cancelDue(trx, 'governor_stopped', clock.now())
      for (const approval of ended) await tell(trx, 'cancelled', approval, act)
    },
    get,
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
      for (const id of await store.dueApprovals(db.kysely, clock.now(), SWEEP_BATCH)) await carryOut(id)
    },
    /** Job. */
    sweep,
    /** Deletes those decided so many days ago. */
    async forget(days: number): Promise<void> {
      const before = addTime(clock.now(), -days, 'day')
      while ((await store.deleteApprovalsBefore(db.kysely, before, SWEEP_BATCH)) === SWEEP_BATCH);
    },
  }
}

/** Whether who decides is who asked, what made the asking token, or a token that these made. */
function isOwn({ asked_by: by, makers }: Approval, { by: decider, makers: chain }: Act): boolean {
  const asking = new Set([by.id, ...makers])
  return decider === null || asking.has(decider.id) || chain.some((id) => asking.has(id))
}

function missing(): AppError {
  return new AppError('not_found', 'There is no approval with this id.')
}

function stale(message: string): AppError {
  return new AppError('stale', message)
}
