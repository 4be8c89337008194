import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import { decodeCursor, page } from '../../../kernel/paging.ts'
import type { Groups } from '../../groups/index.ts'
import { createCourse, type CourseDeps } from './course.ts'
import * as store from './store.ts'

/** A rollout with what is counted of its rings. */
export type RolloutView = store.Rollout & { counted: NonNullable<store.Rollout['counts']> }

/** A rollout as somebody wants it. */
interface NewRollout {
  kind: 'profile' | 'app'
  id: string
  revision?: number
  rings: ({ percent: number } | { group_id: string })[]
  advance_after_minutes?: number | null
  halt_at_failure_percent?: number
  halt_minimum?: number
}

const HALT_AT_PERCENT = 10
const HALT_MINIMUM = 3

/** Revisions that are released in rings. */
export type Rollouts = ReturnType<typeof createRollouts>

/** Rollouts: they advance by time or by hand, halt by themselves when too much fails, and can be rolled back. */
export function createRollouts(deps: CourseDeps & { groups: Pick<Groups, 'hold'> }) {
  const { db, clock } = deps
  const course = createCourse(deps)

  async function view(rollout: store.Rollout): Promise<RolloutView> {
    return { ...rollout, counted: rollout.counts ?? (await store.countRings(db.kysely, rollout)) }
  }

  /** Changes a rollout that is in one of these states, and tells it. */
  function change(
    id: string,
    act: Act,
    from: readonly store.Rollout['state'][],
    next: (trx: Tx, rollout: store.Rollout) => Promise<store.Rollout>,
  ): Promise<store.Rollout> {
    return db.transaction(async (trx) => {
      const rollout = (await store.lockRollout(trx, id)) ?? missing()
      act.checkVersion(rollout.version)
      if (!from.includes(rollout.state)) throw new AppError('conflict', `The rollout is ${rollout.state}.`)
      return next(trx, rollout)
    })
  }

  return {
    /** Starts one. Throws AppError `invalid_request` and `rollout_running`. */
    async start(wanted: NewRollout, act: Act): Promise<RolloutView> {
      const { kind, id: thing_id, rings } = wanted
      checkPercents(rings)
      const group_ids = rings.flatMap((ring) => ('group_id' in ring ? ring.group_id : []))
      const rollout = await db.transaction(async (trx) => {
        await holdGroups(trx, deps.groups, group_ids, rings)
        const now = clock.now()
        const revision = await checkThing(trx, wanted)
        const row = {
          ...{ id: newId(now), kind, thing_id, revision, rings: JSON.stringify(rings), group_ids },
          advance_after_minutes: wanted.advance_after_minutes ?? null,
          halt_at_failure_percent: wanted.halt_at_failure_percent ?? HALT_AT_PERCENT,
          halt_minimum: wanted.halt_minimum ?? HALT_MINIMUM,
          ...{ state: 'running' as const, ring: 0, ring_started_at: now, created_at: now, updated_at: now },
        }
        const started = await store.insertRollout(trx, row)
        if (started === undefined) throw new AppError('rollout_running')
        return course.tell(trx, started, 'rollout.started', act)
      })
      return view(rollout)
    },
    /** Throws AppError `not_found`. */
    async get(id: string): Promise<RolloutView> {
      return view((await store.findRollout(db.kysely, id)) ?? missing())
    },
    async list(query: { limit: number; cursor?: string; kind?: 'profile' | 'app'; thing_id?: string }) {
      const { cursor, limit, ...filter } = query
      const before = decodeCursor(cursor, ['time', 'string'])
      const rows = await store.listRollouts(db.kysely, { ...filter, before, limit: limit + 1 })
      const found = page(rows, limit, ({ created_at, id }) => [created_at.toISOString(), id])
      return { ...found, items: await Promise.all(found.items.map(view)) }
    },
    /** To the next ring; in the last one it ends the rollout. Throws AppError `not_found` and `conflict`. */
    advance: async (id: string, act: Act) =>
      view(await change(id, act, ['running', 'halted'], (trx, rollout) => course.advance(trx, rollout, act))),
    /** What has not got it does not, until it is resumed. Throws AppError `not_found` and `conflict`. */
    halt: async (id: string, act: Act) =>
      view(await change(id, act, ['running'], (trx, rollout) => course.halt(trx, rollout, 'by_hand', act))),
    /** Throws AppError `not_found` and `conflict`. */
    resume: async (id: string, act: Act) =>
      view(await change(id, act, ['halted'], (trx, rollout) => course.resume(trx, rollout, act))),
    /** All devices get the revision of before again. Throws AppError `not_found` and `conflict`. */
    rollBack: async (id: string, act: Act) =>
      view(
        await change(id, act, ['running', 'halted'], (trx, rollout) =>
          course.over(trx, rollout, 'rolled_back', act),
        ),
      ),
    /** Job: advances what is due, halts what fails, and ends what is done. */
    async run(): Promise<void> {
      for (const id of await store.runningIds(db.kysely)) await course.judge(id)
    },
  }
}

async function checkThing(trx: Tx, { kind, id, revision }: NewRollout): Promise<number> {
  const [open] = await store.openRollouts(trx, [id])
  if (open?.kind === kind) throw new AppError('rollout_running')
  await store.lockThing(trx, kind, id)
  const of = kind === 'profile' ? { profiles: [id], apps: [] } : { profiles: [], apps: [id] }
  const [thing] = await store.releasedThings(trx, of)
  if (thing === undefined) throw refuse('/id', `There is no such ${kind}.`)
  const wanted = revision ?? thing.revision
  if (wanted < 1 || wanted > thing.revision) throw refuse('/revision', 'There is no such revision.')
  if (wanted === thing.released_revision) throw refuse('/revision', 'Everybody gets this revision already.')
  return wanted
}

/** Groups stay until the transaction has written down that the rings are these. */
async function holdGroups(
  trx: Tx,
  groups: Pick<Groups, 'hold'>,
  ids: readonly string[],
  rings: NewRollout['rings'],
): Promise<void> {
  const known = new Set<string>()
  for (const id of [...new Set(ids)].toSorted()) if (await groups.hold(trx, id)) known.add(id)
  const bad = rings.findIndex((ring) => 'group_id' in ring && !known.has(ring.group_id))
  if (bad !== -1) throw refuse(`/rings/${bad}/group_id`, 'There is no such group.')
}

/** A share is of all devices, those of earlier rings among them, so a smaller one after a greater one would be of nobody. */
function checkPercents(rings: NewRollout['rings']): void {
  let most = 0
  for (const [at, ring] of rings.entries()) {
    if (!('percent' in ring)) continue
    if (ring.percent <= most)
      throw refuse(
        `/rings/${at}/percent`,
        `It must be more than the ${most} of a ring before: shares add up.`,
      )
    most = ring.percent
  }
}

function refuse(pointer: string, detail: string): AppError {
  return new AppError('invalid_request', detail, { faults: [{ pointer, detail }] })
}

function missing(): never {
  throw new AppError('not_found', 'There is no rollout with this id.')
}
