import type { Db, Tx } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Commands } from '../../commands/index.ts'
import type { Inventory } from '../../inventory/index.ts'
import type { Events } from '../../events/index.ts'
import { decide, type Decision } from './decide.ts'
import type { Wanted } from './desire.ts'
import type { Contents } from '../contents/contents.ts'
import { need as askForVisits } from '../../../db/statements/delivery-needs.ts'
import { giveOnJoining } from './joining.ts'
import { load, type Known, type LoadDeps } from './load.ts'
import { send } from './send.ts'
import * as store from './store.ts'
import type { Told } from './types.ts'

/** Devices that are visited in one transaction. */
const BATCH = 1_000
/** The answer to what went out so lately is waited for before it is taken back: else nobody would know whether it was done. */
const UNDER_WAY_MS = 5_000
/** What visiting devices is made of. */
export interface VisitDeps extends LoadDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  contents: Pick<Contents, 'items' | 'commandItems'>
  commands: Pick<Commands, 'enqueue' | 'enqueueOnce' | 'governedActOf' | 'holdBack' | 'takeBack'>
  inventory: Pick<Inventory, 'ask'>
}

/** Whether there may be more devices to visit, and whether some of these were put off. */
interface Left {
  isMore: boolean
  isPutOff: boolean
}

/** Visits devices that are to be visited. */
export function visitSome(deps: VisitDeps): Promise<Left> {
  return deps.db.transaction(async (trx) => {
    const now = deps.clock.now()
    const needs = await store.takeNeeds(trx, { now, limit: BATCH })
    if (needs.length === 0) return { isMore: false, isPutOff: false }
    const locked = await store.lockDevices(
      trx,
      needs.map((one) => one.enrollment_id),
    )
    const here = needs.filter((one) => locked.has(one.enrollment_id))
    const outrun = await visit(trx, deps, { needs: here, locked })
    const left = needs.filter(({ enrollment_id: id }) => !locked.has(id) || outrun.has(id))
    await putOff(trx, left, now)
    return { isMore: needs.length === BATCH && left.length < needs.length, isPutOff: left.length > 0 }
  })
}

/** Devices are visited another time. */
async function putOff(trx: Tx, needs: readonly store.Need[], now: Date): Promise<void> {
  for (const same of Map.groupBy(needs, ({ cause, change_id: id }) => `${cause} ${id}`).values()) {
    const [{ cause, change_id: changeId } = {}] = same
    const ids = same.map((one) => one.enrollment_id)
    if (cause !== undefined && changeId !== undefined) await askForVisits(trx, ids, { cause, changeId, now })
  }
}

/** Visits devices; gives those for which nothing was done, because something reached them meanwhile or is about to. */
async function visit(
  trx: Tx,
  deps: VisitDeps,
  { needs, locked }: { needs: readonly store.Need[]; locked: Map<string, store.Visited> },
): Promise<Set<string>> {
  const ids = needs.map((one) => one.enrollment_id)
  const known = await load(trx, deps, ids, { learns: true })
  // Not before anything that was loaded: a list that came before something was sent must not count as one that came later.
  const now = deps.clock.now()
  await store.forgetDevices(trx, known.gone)
  const gone = new Set(known.gone)
  const changes = await store.changesOf(trx, [...known.rows.values()].flat(), needs)
  const stopped = new Set([...changes].flatMap(([id, { isStopped }]) => (isStopped ? [id] : [])))
  const decided = needs.flatMap((need) => {
    const device = known.devices.get(need.enrollment_id)
    if (device === undefined || gone.has(device.id)) return []
    const wanted = known.wanted.get(device.id) ?? []
    const isAnew = locked.get(device.id)?.generation !== device.generation
    const before = known.rows.get(device.id) ?? []
    const decision = decide({
      device,
      rows: isAnew ? [] : before,
      wanted,
      endOf: known.endOf,
      findGoods: known.findGoods,
      stopped,
      cause: { cause: need.cause, changeId: need.change_id },
      now,
    })
    const planned = isAnew ? plannedOf(device.id, wanted, known) : []
    const deletes = isAnew ? [...before, ...decision.deletes] : decision.deletes
    const among = changes.get(need.change_id ?? '')?.devices ?? 0
    return [{ device, decision, among, planned, deletes }]
  })
  const outrun = await outrunBy(trx, deps, known, { decided, now })
  const decisions = decided.filter(({ device }) => !outrun.has(device.id))
  await deps.commands.takeBack(
    trx,
    decisions.flatMap(({ decision }) => decision.cancels),
  )
  await send(trx, deps, known.findGoods, decisions)
  await store.deleteRows(
    trx,
    decisions.flatMap(({ deletes }) => deletes),
  )
  await store.saveRows(
    trx,
    decisions.flatMap(({ decision }) => decision.saves.map((row) => Object.assign(row, { updated_at: now }))),
  )
  await giveOnJoining(trx, deps, known)
  await store.noteVisits(
    trx,
    decisions.map(({ device: { id, generation }, decision: { dueAt } }) => ({ id, generation, dueAt })),
    now,
  )
  const told = decisions.flatMap(({ decision }) => decision.told.map((each) => eventOf(each, known)))
  await deps.events.emit(trx, ...decisions.flatMap(({ planned }) => planned), ...told)
  return outrun
}

/**
 * Devices to which a command that is to be taken back went out, or by which it was answered, since that was loaded, so that what was
 * decided for them is not true any more; or by which it is answered at this moment. From here on no such command goes out.
 */
async function outrunBy(
  trx: Tx,
  { commands }: Pick<VisitDeps, 'commands'>,
  { endOf, rows }: Known,
  {
    decided,
    now,
  }: { decided: readonly { device: { id: string }; decision: Pick<Decision, 'cancels'> }[]; now: Date },
): Promise<Set<string>> {
  const held = await commands.holdBack(
    trx,
    decided.flatMap(({ decision }) => decision.cancels),
  )
  const heldNow = new Map(held.map((one) => [`${one.enrollment_id} ${one.uuid}`, one]))
  const isOutrun = (row: store.Row) => {
    const end = endOf(row)
    const { may_be_done: mayBeDone, sent_at: sentAt } =
      heldNow.get(`${row.target_id} ${row.command_uuid}`) ?? {}
    if (mayBeDone !== (end.state === 'live' && end.mayBeDone)) return true
    return mayBeDone && Math.abs(now.getTime() - (sentAt?.getTime() ?? 0)) < UNDER_WAY_MS
  }
  const outrun = decided.filter(({ device, decision }) => {
    const uuids = new Set(decision.cancels.map(({ uuid }) => uuid))
    return (rows.get(device.id) ?? []).some(
      (row) => row.command_uuid !== null && uuids.has(row.command_uuid) && isOutrun(row),
    )
  })
  return new Set(outrun.map(({ device }) => device.id))
}

function eventOf({ type, row, revision = row.sent_revision ?? row.revision }: Told, known: Known) {
  const { enrollment_id, kind, thing_id: id, identifier, cause, change_id } = row
  return {
    type,
    enrollment_id,
    serial_number: known.serials.get(enrollment_id) ?? null,
    reason: type === 'delivery.failed' ? row.reason : null,
    data: { kind, id, identifier, revision, cause, change_id },
  }
}

/** It is known what a device is to have in its present enrollment. */
function plannedOf(enrollment_id: string, wanted: readonly Wanted[], known: Known) {
  const critical = wanted.filter((one) => one.critical).length
  const serial_number = known.serials.get(enrollment_id) ?? null
  return [
    {
      type: 'delivery.planned' as const,
      enrollment_id,
      serial_number,
      data: { deliveries: wanted.length, critical },
    },
  ]
}
