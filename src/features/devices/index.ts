import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import { createSeen } from './seen.ts'
import * as store from './store.ts'

export { devicesApi } from './api.ts'
export type { DeviceRow, Enrollment, PushRecord, PushTarget } from './store.ts'

/** The kinds of inventory that are kept, each the newest answer of its kind. */
export type InventoryKind =
  | 'device_information'
  | 'security_info'
  | 'installed_applications'
  | 'profiles'
  | 'certificates'

/** Enrollments and their channels, and what devices said of themselves. */
export type Devices = ReturnType<typeof createDevices>

/** Makes the devices door. */
export function createDevices(deps: { db: Db; clock: Clock }) {
  const { db } = deps
  const seen = createSeen(deps)

  return {
    ...store,
    /** Notes a contact of a channel; written in bulk some seconds later. */
    seen: seen.note,
    /** Writes the contacts that are still in memory. */
    flush: seen.flush,
    /** The channels among `ids` that can be pushed to. */
    pushTargets: (ids: readonly string[]) => store.findPushTargets(db.kysely, ids),
    /** Writes down what came of pushes. */
    recordPush: (records: readonly store.PushRecord[]) => store.recordPushes(db.kysely, records),
    /** The newest answer of a kind, as the device gave it; undefined when it never did. */
    async inventory(id: string, kind: InventoryKind): Promise<{ items: unknown; received_at: Date } | undefined> {
      const row = await store.findInventory(db.kysely, id, kind)
      if (!row) return undefined
      const json = (await promisify(inflate)(row.data)) as Buffer
      return { items: JSON.parse(json.toString('utf8')) as unknown, received_at: row.received_at }
    },
  }
}
