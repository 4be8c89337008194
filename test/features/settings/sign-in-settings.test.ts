import { expect, test } from 'vitest'
import { createOperators } from '../../../src/features/operators/index.ts'
import { createSettings, settingsApi } from '../../../src/features/settings/index.ts'
import { apiWorld, doorsOf } from '../../support/api-world.ts'
import { describeEachEngine } from '../../support/database.ts'

describeEachEngine('settings of sign-in', (database) => {
  async function world() {
    const doors = doorsOf(database())
    await doors.db.kysely.updateTable('settings').set({ values: '{}', version: 1 }).execute()
    const settings = createSettings({
      ...doors,
    })
    const routes = settingsApi({ settings })
    const { call } = await apiWorld({ ...doors, operators: createOperators(doors), routes })
    return { settings, call }
  }

  test('are silent and local by default, and change', async () => {
    const { settings, call } = await world()
    expect(await settings.get()).toMatchObject({
      device_limit_message: 'silent',
      enroll_sign_in_source_id: null,
    })
    const patch = { device_limit_message: 'explain', enroll_sign_in_source_id: 'local' }
    expect(await call('PATCH', '/settings', patch)).toMatchObject({ status: 200, body: patch })
    expect(await settings.get()).toMatchObject(patch)
    const nulls = { device_limit_message: null, enroll_sign_in_source_id: null }
    expect((await call('PATCH', '/settings', nulls)).body).toMatchObject({
      device_limit_message: 'silent',
      enroll_sign_in_source_id: null,
    })
  })

  test('a source that does not exist is refused, and nothing changes', async () => {
    const { settings, call } = await world()
    const answer = await call('PATCH', '/settings', { event_days: 3, enroll_sign_in_source_id: 'nowhere' })
    expect(answer).toMatchObject({
      status: 400,
      body: {
        code: 'invalid_request',
        errors: [{ path: 'enroll_sign_in_source_id', message: 'is no sign-in source' }],
      },
    })
    expect(await settings.get()).toMatchObject({ event_days: 30 })
  })

  test.each([
    [{ device_limit_message: 'loud' }, 'device_limit_message'],
    [{ enroll_sign_in_source_id: '' }, 'enroll_sign_in_source_id'],
    [{ enroll_sign_in_source_id: 7 }, 'enroll_sign_in_source_id'],
  ])('%j is refused by name', async (body, path) => {
    const { call } = await world()
    expect(await call('PATCH', '/settings', body)).toMatchObject({
      status: 400,
      body: { errors: [{ path }] },
    })
  })
})
