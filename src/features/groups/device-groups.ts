import type { Db, Tx } from '../../db/index.ts'
import type { Act } from '../../kernel/act.ts'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { type Page, decodeCursor, page } from '../../kernel/paging.ts'
import type { Devices } from '../devices/index.ts'
import type { Events } from '../events/index.ts'
import { leaveAll, noteMembers } from './membership/index.ts'
import { insertMembers, listGroupsOf } from './store.ts'
import type { GroupOfDevice } from './types.ts'

/** The groups of a single device: what it is put into as it enrols, and out of as that ends. */
export function createDeviceGroups(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'findEnrollment'>
}) {
  const { db, clock, events, devices } = deps
  return {
    /** Puts a device that enrols into a static group; into one that is gone or dynamic it does not. */
    async addMember(trx: Tx, groupId: string, enrollmentId: string, act: Act): Promise<void> {
      const added = await insertMembers(trx, groupId, [enrollmentId], clock.now())
      await noteMembers(trx, events, groupId, { added, removed: [] }, { because: 'enrollment', act })
    },
    /** Takes a device out of all groups, because its enrollment has ended. */
    removeDevice: (trx: Tx, enrollmentId: string, act: Act): Promise<void> =>
      leaveAll(trx, events, enrollmentId, act),
    /** A page of the groups that a device is in, by name. Throws AppError `not_found`. */
    async listGroupsOf(
      deviceId: string,
      query: { limit: number; cursor?: string },
    ): Promise<Page<GroupOfDevice>> {
      const device = await devices.findEnrollment(db.kysely, deviceId)
      if (device === undefined) throw new AppError('not_found', `There is no device ${deviceId}.`)
      const [after] = decodeCursor(query.cursor, ['string']) ?? []
      const rows = await listGroupsOf(db.kysely, device.id, { after, limit: query.limit + 1 })
      return page(rows, query.limit, ({ name }) => [name])
    },
  }
}
