import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { deliveryWorld } from '../support/delivery-world.ts'

describeEachEngine('what is foretold', (database) => {
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = deliveryWorld(world, 'foretold')
  })
  afterAll(() => world.close())

  test('of a serial number that has not come, the groups by rule are foretold as far as they are known', async () => {
    const { body: policy } = await world.api('POST', '/enrollment-policies', { name: 'Foretold' })
    const now = new Date()
    await database()
      .kysely.insertInto('ade_devices')
      .values({
        serial_number: 'FORETOLD1',
        device_family: 'iPhone',
        policy_id: policy.id,
        created_at: now,
        updated_at: now,
      })
      .execute()
    const thing = async () => at.profile()
    const ruled = async (rule: object, ...items: Record<string, unknown>[]) => {
      const { body } = await world.api('POST', '/groups', {
        name: JSON.stringify(rule),
        kind: 'dynamic',
        rule,
      })
      await at.put(body.id, ...items)
    }
    const [serial, phone, mac, person, version, kept] = [
      await thing(),
      await thing(),
      await thing(),
      await thing(),
      await thing(),
      await thing(),
    ]
    await ruled({ fact: 'serial_number', op: 'starts_with', value: 'FORE' }, at.bring(serial), at.bring(kept))
    await ruled(
      {
        all: [
          { fact: 'platform', op: 'eq', value: 'ios' },
          { fact: 'policy_name', op: 'eq', value: 'Foretold' },
        ],
      },
      at.bring(phone),
    )
    await ruled(
      {
        all: [
          { fact: 'policy_id', op: 'eq', value: policy.id },
          { fact: 'platform', op: 'eq', value: 'macos' },
        ],
      },
      at.bring(mac),
    )
    await ruled({ not: { fact: 'user_name', op: 'eq', value: 'ada' } }, at.bring(person))
    await ruled(
      {
        all: [
          { fact: 'policy_id', op: 'eq', value: policy.id },
          { fact: 'os_version', op: 'lt', value: '18' },
        ],
      },
      at.bring(version),
      { ...at.bring(kept), exclude: true },
    )
    const { status, body } = await world.api('POST', '/predictions', { serial_number: 'FORETOLD1' })
    expect(status).toBe(200)
    const told = body.items.map(({ id, uncertain }: { id: string; uncertain: boolean }) => [id, uncertain])
    expect(told.toSorted()).toEqual(
      [
        [serial.id, false],
        [kept.id, true],
        [phone.id, false],
      ].toSorted(),
    )
  })
})
