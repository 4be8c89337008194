import type { Tx } from '../../../db/index.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import type { Log } from '../../../kernel/log.ts'
import { decodeCursor, encodeCursor, type Page } from '../../../kernel/paging.ts'
import type { Devices } from '../../devices/index.ts'
import { createChanges } from './changes.ts'
import { criticalState, retryCritical } from './critical.ts'
import { createEngine } from './engine.ts'
import { renderCommand, type RenderDeps } from './render.ts'
import type { Kind } from './types.ts'
import type { VisitDeps } from './visit.ts'
import {
  countStates,
  deliveriesOf,
  devicesInState,
  type DeliveryView,
  type StatusOf,
  type ToldState,
} from '../../../db/statements/delivery-views.ts'

/** What devices get of their groups. */
export type Deliveries = ReturnType<typeof createDeliveries>

type Retry = { state?: 'failed'; force?: boolean }

/** The engine, and what it has to tell. */
export function createDeliveries(
  deps: VisitDeps & RenderDeps & { log: Log; devices: Pick<Devices, 'findEnrollment'> },
) {
  const { db, clock } = deps
  const engine = createEngine(deps)
  const changes = createChanges({ ...deps, wake: engine.wake })

  async function known(id: string) {
    const device = await deps.devices.findEnrollment(db.kysely, id)
    if (device === undefined) throw new AppError('not_found', `There is no device ${id}.`)
    return device.id
  }

  return {
    engine,
    changes,
    /** A page of what a device has of its groups, and is to have. Throws AppError `not_found`. */
    async ofDevice(id: string, query: { limit: number; cursor?: string }) {
      const device = await known(id)
      const [offset] = decodeCursor(query.cursor, ['offset']) ?? [0]
      const rows = await deliveriesOf(db.kysely, device, { limit: query.limit + 1, offset })
      const next = rows.length > query.limit ? encodeCursor([offset + query.limit]) : null
      return { items: rows.slice(0, query.limit).map(render), next_cursor: next } satisfies Page<unknown>
    },
    /** How many deliveries are in each state; with a state, a page of the devices. Throws AppError `not_found`. */
    async status(
      kind: 'group' | Kind,
      id: string,
      {
        state,
        limit,
        after,
      }: {
        state: ToldState | undefined
        limit: number
        after: readonly [string, string, string] | undefined
      },
    ) {
      const of: StatusOf = kind === 'group' ? { group: id } : { kind, id }
      const counts = Object.fromEntries(await countStates(db.kysely, of))
      if (state === undefined) return { counts, items: undefined, last: undefined }
      const rows = await devicesInState(db.kysely, of, {
        state,
        after: after ?? ['', '', ''],
        limit: limit + 1,
      })
      const items = rows.slice(0, limit)
      const end = rows.length > limit ? items.at(-1) : undefined
      return { counts, items, last: end && ([end.device_id, end.kind, end.id] as const) }
    },
    async retryOfDevice(id: string, { state, force = false }: Retry, act: Act) {
      return changes.retry({ device: await known(id), force, failedOnly: state === 'failed' }, act)
    },
    retryOfThing: (thing: { kind: Kind; id: string }, { state, force = false }: Retry, act: Act) =>
      changes.retry({ thing, force, failedOnly: state === 'failed' }, act),
    /** See `criticalState`. */
    criticalState: (trx: Tx, enrollmentId: string) => criticalState(trx, enrollmentId),
    /** See `retryCritical`. */
    retryCritical: (trx: Tx, enrollmentId: string) => retryCritical(trx, enrollmentId, clock.now()),
    /** See `renderCommand`. */
    render: (targetId: string, uuid: string) => renderCommand(deps, targetId, uuid),
  }
}

function render({ enrollment_id: _id, next_try_at, updated_at, ...view }: DeliveryView) {
  return { ...view, next_try_at: next_try_at?.toISOString() ?? null, updated_at: updated_at.toISOString() }
}
