import type { Db } from '../../../src/db/index.ts'
import { createDevices } from '../../../src/features/devices/index.ts'
import { createGroups, groupsApi } from '../../../src/features/groups/index.ts'
import { createOperators } from '../../../src/features/operators/index.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'

/** Groups over a test's database, with their API. */
export async function groupsWorld(db: Db) {
  const doors = doorsOf(db)
  const devices = createDevices({
    ...doors,
    reader: { readList: () => Promise.reject(new Error('no lists here')) },
  })
  const groups = createGroups({ ...doors, devices })
  const { call } = await apiWorld({
    ...doors,
    operators: createOperators(doors),
    routes: groupsApi({ groups }),
  })
  doors.emitted.length = 0
  return { ...doors, groups, call }
}

let made = 0

/** Adds a device as Authenticate does; its id is told. */
export async function addDevice(
  db: Db,
  columns: { policy_id?: string; user_id?: string; unenrolled_at?: Date; parent_id?: string } = {},
): Promise<string> {
  made += 1
  const id = `DEVICE-${String(made).padStart(6, '0')}`
  const now = new Date()
  await db.kysely
    .insertInto('enrollments')
    .values({
      id,
      type: 'device',
      serial_number: `SN-${id}`,
      device_name: `Name of ${id}`,
      ...columns,
      authenticated_at: now,
      created_at: now,
      updated_at: now,
    })
    .execute()
  return id
}
