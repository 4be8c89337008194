import type { Insertable } from 'kysely'
import type { Db } from '../../../src/db/index.ts'
import type { EnrollmentsTable } from '../../../src/db/tables/devices.ts'
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
    routes: groupsApi({ ...doors, groups }),
  })
  doors.emitted.length = 0
  /** Puts every device there is into its groups, as events of each would. */
  async function regroupAll(): Promise<void> {
    const rows = await db.kysely.selectFrom('enrollments').select('id').execute()
    const values = rows.map(({ id }) => ({ enrollment_id: id }))
    if (values.length > 0) await db.kysely.insertInto('devices_to_group').values(values).execute()
    await groups.membership.run()
  }
  return { ...doors, groups, call, regroupAll }
}

let made = 0

/** Adds a device as Authenticate does; its id is told. */
export async function addDevice(
  db: Db,
  columns: Partial<Insertable<EnrollmentsTable>> = {},
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
