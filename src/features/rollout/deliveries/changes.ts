import type { Db } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { AppError } from '../../../kernel/errors.ts'
import { newId } from '../../../kernel/ids.ts'
import type { Events } from '../../events/index.ts'
import { insertChange } from '../contents/store.ts'
import * as store from './changes-store.ts'

/** How far a change has come, as it is told. */
interface ChangeView {
  id: string
  state: 'running' | 'finished' | 'stopped'
  devices: number
  enqueued: number
  done: number
  created_at: Date
}

/** How far large changes are; they can be stopped, and what has failed tried again as one. */
export function createChanges(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  wake: () => void
}) {
  const { db, clock, events } = deps

  async function get(id: string): Promise<ChangeView> {
    const found = await store.findChange(db.kysely, id)
    if (found === undefined) throw new AppError('not_found', 'There is no change with this id.')
    const { devices, unvisited, open, created_at } = found
    const enqueued = Math.max(0, devices - unvisited)
    const done = Math.max(0, enqueued - open)
    const isDone = found.state === 'running' && unvisited === 0 && open === 0
    if (isDone)
      await db.transaction((trx) => store.endChange(trx, id, { state: 'finished', now: clock.now() }))
    return { id, state: isDone ? 'finished' : found.state, devices, enqueued, done, created_at }
  }

  return {
    get,
    /** Stops what of a change has not gone out. Throws AppError `not_found`, and `conflict` when it does not run. */
    async stop(id: string, act: Act): Promise<ChangeView> {
      const before = await get(id)
      await db.transaction(async (trx) => {
        if (!(await store.endChange(trx, id, { state: 'stopped', now: clock.now() })))
          throw new AppError('conflict', `The change is ${before.state}.`)
        await store.needOfStopped(trx, id, clock.now())
        await events.emit(trx, {
          type: 'change.stopped',
          act,
          data: { change_id: id, devices: before.devices },
        })
      })
      deps.wake()
      return get(id)
    },
    /** Tries again what has failed, or sends what is installed again; as a change of its own. */
    async retry(of: store.RetryOf, act: Act): Promise<ChangeView> {
      const id = newId(clock.now())
      await db.transaction(async (trx) => {
        const devices = await store.retry(trx, of, { changeId: id, now: clock.now() })
        const thing = { kind: of.thing?.kind ?? null, thing_id: of.thing?.id ?? null }
        await insertChange(trx, { id, group_id: null, ...thing, devices, created_at: clock.now() })
        await events.emit(trx, {
          type: 'delivery.retried',
          act,
          enrollment_id: of.device ?? null,
          data: { change_id: id, devices },
        })
      })
      deps.wake()
      return get(id)
    },
  }
}
