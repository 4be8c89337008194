import type { Db } from '../../db/index.ts'
import { findFacts } from '../../db/statements/device-details.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { InventoryKind, ListPage, MessageReader } from '../../protocol/mdm/index.ts'
import { createSeen } from './seen.ts'
import { countByState } from './counts-store.ts'
import * as places from './places-store.ts'
import * as store from './store.ts'

/** Enrollments and their channels, and what devices said of themselves. */
export type Devices = ReturnType<typeof createDevices>

/** `reader` reads what devices said of themselves, a page of it at a time. */
export function createDevices(deps: { db: Db; clock: Clock; reader: Pick<MessageReader, 'readList'> }) {
  const { db } = deps
  const seen = createSeen(deps)

  return {
    ...store,
    ...places,
    /** How many devices are in each state. */
    countByState: () => db.bulk(countByState),
    /** Notes a contact of a channel; written in bulk some seconds later. */
    seen: seen.note,
    /** Writes the contacts that are still in memory. */
    flush: seen.flush,
    /** The channels among `ids` that can be pushed to. */
    pushTargets: (ids: readonly string[]) => store.findPushTargets(db.kysely, ids),
    /** What a device told of itself, by the names of facts; null when it told nothing yet. */
    facts: async (id: string) => (await findFacts(db.kysely, id)) ?? null,
    /** The newest answer of a kind, as the device gave it; undefined when it never did. */
    async inventory(id: string, kind: InventoryKind): Promise<{ items: unknown; received_at: Date } | null> {
      const row = await store.findInventory(db.kysely, id, kind)
      if (!row) return null
      const { items } = await deps.reader.readList(row.data, { offset: 0, limit: 1 })
      return { items: items[0], received_at: row.received_at }
    },
    /** A part of the newest list of a kind; empty when the device never gave one. */
    async inventoryPage(
      id: string,
      kind: InventoryKind,
      page: { offset: number; limit: number },
    ): Promise<ListPage> {
      const row = await store.findInventory(db.kysely, id, kind)
      return row ? deps.reader.readList(row.data, page) : { items: [], more: false }
    },
  }
}
