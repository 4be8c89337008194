import { beforeEach, expect, test } from 'vitest'
import { createStrangers, type Strangers } from '../../src/features/attempts/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityWorld, type World } from '../support/identity-world.ts'

describeEachEngine('what strangers are refused', (database) => {
  let world: World
  let strangers: Strangers
  beforeEach(async () => {
    world = identityWorld(database())
    strangers = createStrangers(world)
    await world.db.kysely.deleteFrom('event_outbox').execute()
  })

  type Refused = Pick<
    Parameters<Strangers['note']>[0],
    'way' | 'reason' | 'serial_number' | 'user_name' | 'link_id'
  >
  const note = (address: string, more: Partial<Refused> = {}) =>
    strangers.note({ address, way: 'link', reason: 'link_used_up', request_id: 'r', ...more })
  const told = () =>
    world.db.kysely
      .selectFrom('event_outbox')
      .select(['type', 'reason', 'serial_number', 'user_name', 'data'])
      .orderBy('seq')
      .execute()

  test('each is a line and a count; of a network there is one event an hour, with the number', async () => {
    for (let n = 0; n < 5; n++) note('192.0.2.1', { link_id: 'link-1' })
    expect(await told()).toEqual([])
    expect(world.logged('enrollment.rejected', { reason: 'link_used_up', network: '192.0.2.1' })).toBe(true)
    expect(await world.counted('enrollment.rejected', 'link_used_up')).toBe(5)
    await strangers.tellDue()
    const since = world.clock.now().toISOString()
    const data = { network: '192.0.2.1', ways: ['link'], link_ids: ['link-1'], since }
    const event = {
      type: 'enrollment.rejected',
      reason: 'link_used_up',
      serial_number: null,
      user_name: null,
    }
    expect(await told()).toEqual([{ ...event, data: { ...data, count: 5 } }])
    for (let n = 0; n < 1000; n++) note('192.0.2.1', { link_id: 'link-1' })
    world.clock.advance(59, 'minute')
    await strangers.tellDue()
    expect(await told()).toHaveLength(1)
    world.clock.advance(1, 'minute')
    await strangers.tellDue()
    expect((await told())[1]).toEqual({ ...event, data: { ...data, count: 1000 } })
    world.clock.advance(60, 'minute')
    await strangers.tellDue()
    expect(await told()).toHaveLength(2)
    // It was quiet for an hour: the next one is told at once again.
    note('192.0.2.1')
    await strangers.tellDue()
    expect(await told()).toHaveLength(3)
  })

  test('an IPv6 network is its /64; reasons are told apart', async () => {
    note('2001:db8:1:2::1')
    note('2001:db8:1:2:ffff::1')
    note('2001:db8:1:3::1')
    note('2001:db8:1:3::1', { reason: 'unknown_key' })
    await strangers.tellDue()
    expect((await told()).map(({ reason, data }) => [data['network'], reason, data['count']])).toEqual([
      ['2001:db8:1:2', 'link_used_up', 2],
      ['2001:db8:1:3', 'link_used_up', 1],
      ['2001:db8:1:3', 'unknown_key', 1],
    ])
  })

  test('who was named is told, up to a number; one alone is found by the event', async () => {
    note('192.0.2.1', { reason: 'machine_info_untrusted', way: 'ade', serial_number: 'SERIAL1' })
    for (let n = 0; n < 100; n++)
      note('192.0.2.1', { reason: 'invalid_credentials', way: 'page', user_name: `user-${n}@example.com` })
    await strangers.tellDue()
    const [machine, people] = await told()
    expect(machine).toMatchObject({ serial_number: 'SERIAL1', data: { serial_numbers: ['SERIAL1'] } })
    expect(people).toMatchObject({
      type: 'enrollment.sign_in_refused',
      user_name: null,
      data: { count: 100 },
    })
    expect(people?.data['user_names']).toHaveLength(20)
  })

  test('a world of networks is told as one, and none of it is lost at the end', async () => {
    for (let n = 0; n < 3_000; n++) note(`10.0.${n >> 8}.${n & 255}`)
    await strangers.tellDue()
    const rows = await told()
    expect(rows).toHaveLength(1_001)
    expect(rows.at(-1)?.data).toMatchObject({ network: 'other networks', count: 2_000 })
    note('10.0.0.1')
    await strangers.flush()
    expect((await told()).at(-1)?.data).toMatchObject({ network: '10.0.0.1', count: 1 })
  })
})
