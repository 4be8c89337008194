import { expect, test } from 'vitest'
import { createOperators } from '../../../src/features/operators/index.ts'
import { createSettings, settingsApi } from '../../../src/features/settings/index.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'

const DEFAULTS = {
  default_device_limit: 15,
  device_limit_message: 'silent',
  enroll_sign_in_source_id: null,
  machine_info_replay: 'tell',
  organization_name: null,
  support_phone_number: null,
  user_authenticate: 'refuse',
  package_max_bytes: 4_294_967_296,
  profile_max_bytes: 10_485_760,
  calls_per_token_per_second: 100,
  command_history_days: 180,
  checkin_message_days: 90,
  event_days: 30,
  inventory_interval_hours: 24,
  inventory_personal_apps: 'managed',
  attempt_days: 365,
  audit_days: 730,
}

describeEachEngine('settings', (database) => {
  async function world() {
    const clock = manualClock()
    const doors = doorsOf(database(), clock)
    await doors.db.kysely.updateTable('settings').set({ values: '{}', version: 1 }).execute()
    const settings = createSettings(doors)
    const elsewhere = createSettings(doorsOf(database(), clock))
    const routes = settingsApi({ settings })
    const { call } = await apiWorld({ ...doors, operators: createOperators(doors), routes })
    return { ...doors, settings, elsewhere, call }
  }

  test('have defaults', async () => {
    const { call, settings } = await world()
    expect(await settings.get()).toEqual(DEFAULTS)
    expect(await call('GET', '/settings')).toMatchObject({
      status: 200,
      headers: { etag: '"1"' },
      body: DEFAULTS,
    })
  })

  test('a patch changes what it names, seen here at once and within 2 seconds elsewhere', async () => {
    const { call, settings, elsewhere, clock, emitted } = await world()
    await Promise.all([settings.get(), elsewhere.get()])
    const changed = await call('PATCH', '/settings', { event_days: 90, user_authenticate: 'accept' })
    const expected = { ...DEFAULTS, event_days: 90, user_authenticate: 'accept' }
    expect(changed).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: expected })
    expect(await settings.get()).toEqual(expected)
    clock.advance(1_999)
    expect(await elsewhere.get()).toEqual(DEFAULTS)
    clock.advance(1)
    expect(await elsewhere.get()).toEqual(expected)
    expect(emitted.at(-1)).toMatchObject({
      type: 'settings.changed',
      data: {
        changed: {
          event_days: { before: 30, after: 90 },
          user_authenticate: { before: 'refuse', after: 'accept' },
        },
      },
    })
  })

  test('null gives the default back, but means no limit for the device limit', async () => {
    const { call } = await world()
    await call('PATCH', '/settings', { event_days: 90, default_device_limit: 2 })
    const changed = await call('PATCH', '/settings', { event_days: null, default_device_limit: null })
    expect(changed.body).toMatchObject({ event_days: 30, default_device_limit: null })
    expect((await call('GET', '/settings')).body).toMatchObject({ default_device_limit: null })
  })

  test('a patch that changes nothing makes no version and no event', async () => {
    const { call, emitted } = await world()
    const before = emitted.length
    expect((await call('PATCH', '/settings', { event_days: 30 })).headers['etag']).toBe('"1"')
    expect((await call('PATCH', '/settings', {})).headers['etag']).toBe('"1"')
    expect(emitted).toHaveLength(before)
  })

  test('the sign-in source of the page must be there', async () => {
    const { call } = await world()
    const changed = await call('PATCH', '/settings', { enroll_sign_in_source_id: 'local' })
    expect(changed.body.enroll_sign_in_source_id).toBe('local')
    const back = await call('PATCH', '/settings', { enroll_sign_in_source_id: null })
    expect(back.body.enroll_sign_in_source_id).toBeNull()
  })

  test('changes heed If-Match', async () => {
    const { call } = await world()
    expect((await call('PATCH', '/settings', { event_days: 1 }, { 'if-match': '"1"' })).status).toBe(200)
    expect((await call('PATCH', '/settings', { event_days: 2 }, { 'if-match': '"1"' })).status).toBe(412)
  })

  test.each([
    [{ event_days: 0 }, 'event_days'],
    [{ event_days: 1.5 }, 'event_days'],
    [{ event_days: '30' }, 'event_days'],
    [{ default_device_limit: -1 }, 'default_device_limit'],
    [{ user_authenticate: 'maybe' }, 'user_authenticate'],
    [{ other: 1 }, 'other'],
    [{ enroll_sign_in_source_id: 'unknown' }, 'enroll_sign_in_source_id'],
  ])('%j is refused by name', async (body, path) => {
    const { call } = await world()
    expect(await call('PATCH', '/settings', body)).toMatchObject({
      status: 400,
      body: { errors: [{ path }] },
    })
  })

  test('what another version stored is kept, and not mistaken for ours', async () => {
    const { call, settings, db } = await world()
    const stored = { later_setting: true, event_days: 'a lot' }
    await db.kysely
      .updateTable('settings')
      .set({ values: JSON.stringify(stored) })
      .execute()
    expect(await settings.get()).toEqual(DEFAULTS)
    await call('PATCH', '/settings', { attempt_days: 10 })
    const row = await db.kysely.selectFrom('settings').select('values').executeTakeFirstOrThrow()
    expect(row.values).toEqual({ ...stored, attempt_days: 10 })
  })

  test('inside a transaction they are read with it', async () => {
    const { settings, db, clock } = await world()
    clock.advance(5_000)
    const read = await db.transaction((trx) => settings.get(trx))
    expect(read).toEqual(DEFAULTS)
  })
})
