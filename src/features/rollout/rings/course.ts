import type { Db, Tx } from '../../../db/index.ts'
import { needOfThing } from '../../../db/statements/delivery-needs.ts'
import { actOfServer, type Act } from '../../../kernel/act.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import type { Events } from '../../events/index.ts'
import * as store from './store.ts'

/** Makes a revision of a thing the one that everybody gets, and tells it. */
type Release = (trx: Tx, id: string, revision: number, act: Act) => Promise<void>

/** What the course of a rollout is made of. */
export interface CourseDeps {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  profiles: { release: Release }
  apps: { release: Release }
}

/** How a rollout goes on, and what ends it. */
export function createCourse(deps: CourseDeps) {
  const { db, clock, events } = deps

  async function tell(
    trx: Tx,
    rollout: store.Rollout,
    type:
      | 'rollout.advanced'
      | 'rollout.halted'
      | 'rollout.resumed'
      | 'rollout.finished'
      | 'rollout.rolled_back'
      | 'rollout.started',
    act: Act,
  ): Promise<store.Rollout> {
    const { id, kind, thing_id, revision, ring } = rollout
    await events.emit(trx, { type, act, data: { rollout_id: id, kind, id: thing_id, revision, ring } })
    await needOfThing(trx, kind, thing_id, { cause: 'rollout', now: clock.now() })
    return rollout
  }

  async function over(trx: Tx, rollout: store.Rollout, state: 'finished' | 'rolled_back', act: Act) {
    const counts = JSON.stringify(await store.countRings(trx, rollout))
    const { kind, thing_id, revision } = rollout
    const things = kind === 'profile' ? deps.profiles : deps.apps
    if (state === 'finished') await things.release(trx, thing_id, revision, act)
    const after = await store.updateRollout(trx, rollout.id, { state, counts }, clock.now())
    return tell(trx, after, state === 'finished' ? 'rollout.finished' : 'rollout.rolled_back', act)
  }

  async function advance(trx: Tx, rollout: store.Rollout, act: Act): Promise<store.Rollout> {
    if (rollout.ring >= rollout.rings.length - 1) return over(trx, rollout, 'finished', act)
    const set = { ...(await goOn(trx, rollout)), ring: rollout.ring + 1 }
    return tell(trx, await store.updateRollout(trx, rollout.id, set, clock.now()), 'rollout.advanced', act)
  }

  async function resume(trx: Tx, rollout: store.Rollout, act: Act): Promise<store.Rollout> {
    const set = await goOn(trx, rollout)
    return tell(trx, await store.updateRollout(trx, rollout.id, set, clock.now()), 'rollout.resumed', act)
  }

  /** Whoever lets a halted one go on knows what has failed. */
  async function goOn(trx: Tx, rollout: store.Rollout) {
    const set = { state: 'running', reason: null, ring_started_at: clock.now() } as const
    if (rollout.state !== 'halted') return set
    return { ...set, failed_before: failuresOf(await store.countRings(trx, rollout)) }
  }

  function halt(trx: Tx, rollout: store.Rollout, reason: string, act: Act): Promise<store.Rollout> {
    return store
      .updateRollout(trx, rollout.id, { state: 'halted', reason }, clock.now())
      .then((after) => tell(trx, after, 'rollout.halted', act))
  }

  /** What time, and what devices have answered, make of a rollout. */
  function judge(id: string): Promise<void> {
    return db.transaction(async (trx) => {
      const rollout = await store.lockRollout(trx, id)
      if (rollout?.state !== 'running') return
      const counts = (await store.countRings(trx, rollout)).slice(0, rollout.ring + 1)
      const failed = failuresOf(counts)
      const installed = sum(counts.map((ring) => ring.installed))
      const share = failed === 0 ? 0 : (failed * 100) / (failed + installed)
      const isMore = failed > rollout.failed_before
      if (isMore && failed >= rollout.halt_minimum && share >= rollout.halt_at_failure_percent) {
        await halt(trx, rollout, 'failures', actOfServer())
        return
      }
      const isLast = rollout.ring === rollout.rings.length - 1
      const isDone = counts.every((ring) => ring.installed + ring.failed >= ring.devices)
      const isFinished = isLast && isDone && sum(counts.map((ring) => ring.devices)) > 0
      if (isFinished && !(await store.isUnderWay(trx, rollout)))
        await over(trx, rollout, 'finished', actOfServer())
      else if (!isLast && isDue(rollout)) await advance(trx, rollout, actOfServer())
    })
  }

  function isDue({ advance_after_minutes: minutes, ring_started_at: since }: store.Rollout): boolean {
    return minutes !== null && addTime(since, minutes, 'minute') <= clock.now()
  }

  return { tell, over, advance, resume, halt, judge }
}

const failuresOf = (rings: readonly { failed: number }[]) => sum(rings.map(({ failed }) => failed))
const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
