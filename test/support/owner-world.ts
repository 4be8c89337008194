import { sql } from 'kysely'
import { expect } from 'vitest'
import type { Db } from '../../src/db/index.ts'
import type { Device, DeviceOptions } from '../../src/simulator/index.ts'
import type { TestApp } from './app.ts'
import { checkIn, halfEnrolled, identityOf } from './half-enrolled.ts'

/** The device's facts with others in their place: somebody who claims to be it. */
export type Claim = Partial<Device['facts']>

/** What a claim of somebody else's device looks like, and what is left of it. */
export function ownerWorld(world: TestApp, database: () => Pick<Db, 'kysely'>) {
  const pathOf = (url: string) => world.url + new URL(url).pathname

  return {
    /** A link; by default for nobody. */
    link: async (fields: Record<string, unknown> = {}) => pathOf(await world.link({ uses: 100, ...fields })),
    async user(name: string, fields: Record<string, unknown> = {}): Promise<string> {
      const { body } = await world.api('POST', '/users', { user_name: name, device_limit: null, ...fields })
      return body.id
    },
    /** Another device that says it is this one, and how that ends. */
    async claim(of: Device, url: string, facts: Claim = {}, options: Partial<DeviceOptions> = {}) {
      const device = world.device({ facts: { ...of.facts, ...facts }, ...options })
      const outcome = await device.enroll({ url })
      return { device, enrolled: outcome.enrolled, outcome }
    },
    /** One that has a certificate by that link and may say anything. */
    certified: (url: string) => halfEnrolled(world, 'certificate', url),
    /** All that a takeover would change: the rows of the device, its queue and its certificates. */
    async state(id: string) {
      const { kysely } = database()
      const rows = await kysely
        .selectFrom('enrollments')
        .selectAll()
        .where((eb) => eb.or([eb('id', '=', id), eb('parent_id', '=', id)]))
        .orderBy('id')
        .execute()
      const ids = rows.map((row) => row.id)
      const of = (table: 'pending_deliveries' | 'enrollment_certificates' | 'group_members') =>
        kysely
          .selectFrom(table)
          .selectAll()
          .where(sql<boolean>`enrollment_id = any(${ids}::text[])`)
          .orderBy('enrollment_id')
          .execute()
      return {
        enrollments: rows.map((row) => ({
          ...row,
          ...{ last_seen_at: null, last_push_at: null, last_push_result: null, asked_at: null },
        })),
        pending: await of('pending_deliveries'),
        certificates: (await of('enrollment_certificates')).map((row) => ({ ...row, contested_at: null })),
        groups: await of('group_members'),
      }
    },
    /** Events of a type so far, published or not. */
    async events(type: string, enrollmentId?: string) {
      const { kysely } = database()
      const columns = [
        'at',
        'by',
        'via',
        'type',
        'reason',
        'enrollment_id',
        'serial_number',
        'user_name',
        'attempt_id',
        'data',
      ] as const
      const rows = await kysely
        .selectFrom('event_outbox')
        .select(columns)
        .unionAll(kysely.selectFrom('events').select(columns))
        .execute()
      return rows
        .filter(
          (row) => row.type === type && (enrollmentId === undefined || row.enrollment_id === enrollmentId),
        )
        .toSorted((a, b) => a.at.getTime() - b.at.getTime())
    },
    /** The newest attempt that gave a serial number. */
    async attemptOf(serial: string) {
      return (await world.api('GET', `/enrollment-attempts?serial_number=${serial}`)).body.items[0]
    },
    async shown(id: string) {
      return (await world.api('GET', `/devices/${encodeURIComponent(id)}`)).body
    },
    /** That a device is still the one that it was: it polls, and takes a command that is meant for it. */
    async isAlive(device: Device, id: string) {
      const { status, body } = await world.api('POST', '/commands', {
        request_type: 'ProfileList',
        device_ids: [id],
      })
      expect(status).toBe(202)
      expect((await device.poll()).end).toBe('idle')
      expect(device.results().some(({ commandUuid }) => commandUuid === body.uuid)).toBe(true)
    },
    say: (device: Device, keys: Parameters<typeof checkIn>[2]) => checkIn(world, device, keys),
    identityOf,
  }
}
