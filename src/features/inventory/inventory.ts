import type { Db, Tx } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { EventType, PublishedEvent } from '../events/index.ts'
import { ask, type AskDeps } from './asking/ask.ts'
import { askDue, begin, planAnew } from './asking/schedule.ts'
import { managingProfileOf } from './reports/lists-store.ts'
import { lockDetails } from './reports/reports-store.ts'
import { takeIn } from './reports/take-in.ts'
import type { Arrival, ReportsDeps } from './reports/told.ts'

/** With what the inventory of a channel begins, and what changes when it is asked again. */
export const INVENTORY_FACTS = [
  'device.enrolled',
  'device.token_updated',
  'settings.changed',
] as const satisfies readonly EventType[]

/** What devices told of themselves, and when they are asked for it. */
export type Inventory = ReturnType<typeof createInventory>

type InventoryDeps = { db: Db; clock: Clock } & AskDeps &
  ReportsDeps & { commands: AskDeps['commands'] & ReportsDeps['commands'] }

/** Inventory: asked after enrolment, then again and again; what devices answer is kept in tables, and told where it is new. */
export function createInventory(deps: InventoryDeps) {
  const { db } = deps

  return {
    /** Takes inventory in that has come, with the transaction that removes it from what waits. */
    takeIn: (trx: Tx, arrivals: readonly Arrival[]) => takeIn(trx, deps, arrivals),
    /** Subscription on `INVENTORY_FACTS`. */
    async follow(facts: readonly PublishedEvent[]): Promise<void> {
      const enrolled = facts.filter(isBeginning)
      const isOther = facts.some(
        ({ type, data }) => type === 'settings.changed' && changesInterval(data['changed']),
      )
      if (enrolled.length === 0 && !isOther) return
      await db.transaction(async (trx) => {
        if (isOther) await planAnew(trx, deps)
        if (enrolled.length === 0) return
        const ids = enrolled.flatMap(({ enrollment_id: id }) => id ?? [])
        const devices = await deps.devices.findEnrollments(trx, ids)
        await lockDetails(trx, [...devices.values()])
        await begin(trx, deps, enrolled)
      })
    },
    /** See `managingProfileOf`. */
    managingProfile: (trx: Tx, id: string): Promise<string | undefined> => managingProfileOf(trx, id),
    /** Job: asks the devices that are due. */
    askDue: () => askDue(deps),
    /**
     * Asks a device for its whole inventory now (one in lost mode: only what it is), and gives the CommandUUID after whose answer all
     * of it is there. What it was asked for and has not told yet is not asked again.
     */
    async refresh(trx: Tx, act: Act, id: string): Promise<string | undefined> {
      const device = (await deps.devices.findEnrollments(trx, [id])).get(id)
      if (device === undefined || device.unenrolled_at !== null) return undefined
      const isLost = device.lost_mode_since !== null
      const last = await ask(
        trx,
        deps,
        act,
        [device],
        (_, requestType) => !isLost || requestType === 'DeviceInformation',
      )
      return last.get(id)
    },
    /**
     * Asks devices for lists of these RequestTypes, as far as they answer such and have not been asked already; those in lost mode are
     * not asked.
     */
    async ask(trx: Tx, act: Act, ids: readonly string[], requestTypes: readonly string[]): Promise<void> {
      const devices = [...(await deps.devices.findEnrollments(trx, ids)).values()]
      const live = devices.filter(
        ({ unenrolled_at: ended, lost_mode_since: lost }) => ended === null && lost === null,
      )
      await ask(trx, deps, act, live, (_, requestType) => requestTypes.includes(requestType))
    },
  }
}

/** A device has enrolled, or a user of one has come. */
function isBeginning({ type, data }: PublishedEvent): boolean {
  return type === 'device.enrolled' || (type === 'device.token_updated' && data['tally'] === 1)
}

function changesInterval(changed: unknown): boolean {
  return typeof changed === 'object' && changed !== null && 'inventory_interval_hours' in changed
}
