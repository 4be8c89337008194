import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { deliveryWorld } from '../support/delivery-world.ts'
import { infoPlist, ipa } from '../support/zip.ts'

const MINUTE = 60_000

describeOnEngine('postgres', 'whatever decides what a device is to have brings a visit', (database) => {
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = deliveryWorld(world, 'wakes')
  })
  afterAll(() => world.close())

  test('a device that is deleted holds up no other', async () => {
    const [gone, other] = [await at.member(), await at.member()]
    const profile = await at.profile()
    const groupId = await at.group(gone, other)
    expect((await world.api('DELETE', `/devices/${gone.facts.udid}?force=true`)).status).toBe(204)
    await at.put(groupId, at.bring(profile))
    await at.untilIs([other], profile, { state: 'installed' })
    const left = database().kysely.selectFrom('delivery_needs').select('enrollment_id')
    await at.until([other], async () => (await left.execute()).length === 0)
  })

  test('when a device tells that it is in lost mode no more, what waited for that goes out', async () => {
    const device = await at.member()
    const profile = await at.profile()
    const { udid } = device.facts
    // It has left that mode in a way of which the server hears nothing.
    await database()
      .kysely.updateTable('enrollments')
      .set({ lost_mode_since: world.clock.now() })
      .where('id', '=', udid)
      .execute()
    await at.put(await at.group(device), at.bring(profile))
    await at.untilIs([device], profile, { state: 'waiting', reason: 'lost_mode' })
    await world.pass(1_000)
    await world.api('POST', '/commands', {
      ...{ request_type: 'DeviceInformation', command: { Queries: ['IsMDMLostModeEnabled'] } },
      device_ids: [udid],
    })
    await at.untilIs([device], profile, { state: 'installed' })
    const { body } = await world.api('GET', `/events?type=device.lost_mode_disabled`)
    expect(body.items).toMatchObject([{ enrollment_id: udid }])
  })

  test('a hosted app of which only the configuration changes is installed again', async () => {
    const device = await at.member()
    const { body: hosted } = await world.api('POST', '/apps', { kind: 'enterprise', name: 'Till' })
    await world.api('PUT', `/apps/${hosted.id}/package`, ipa(infoPlist({ CFBundleVersion: '42' })))
    await world.api('PATCH', `/apps/${hosted.id}`, { configuration: { server: 'one' } })
    await at.put(await at.group(device), { kind: 'app', id: hosted.id })
    await at.untilIs([device], hosted, { state: 'installed', revision: 3 })
    await at.pass([device], MINUTE, 3)
    await world.api('PATCH', `/apps/${hosted.id}`, { configuration: { server: 'other' } })
    await at.untilIs([device], hosted, { state: 'installed', revision: 4 }, MINUTE)
  })

  test('a removal that has failed is tried again at once when somebody asks for that', async () => {
    const device = await at.member()
    const profile = await at.profile()
    const groupId = await at.group(device)
    await at.put(groupId, at.bring(profile))
    await at.untilIs([device], profile, { state: 'installed' })
    device.script('RemoveProfile', 'Error')
    await at.put(groupId)
    await at.untilIs([device], profile, { state: 'removing', reason: 'error' })
    const { status, body } = await world.api('POST', `/devices/${device.facts.udid}/deliveries/retry`, {
      state: 'failed',
    })
    expect([status, body.devices]).toEqual([202, 1])
    await at.until([device], async () => (await at.deliveries(device)).length === 0, 100)
  })

  test('when a policy is deleted, what names it is rendered anew', async () => {
    const device = await at.member()
    const { body: policy } = await world.api('POST', '/enrollment-policies', { name: 'Of wakes' })
    await database()
      .kysely.updateTable('enrollments')
      .set({ policy_id: policy.id })
      .where('id', '=', device.facts.udid)
      .execute()
    const profile = await at.profile({ ssid: '{{policy.name|none}}' })
    await at.put(await at.group(device), at.bring(profile))
    const shows = (name: string) => JSON.stringify(device.view().profiles).includes(name)
    await at.until([device], () => shows('Of wakes'))
    expect((await world.api('DELETE', `/enrollment-policies/${policy.id}`)).status).toBe(204)
    await at.until([device], () => shows('none'))
  })
})
