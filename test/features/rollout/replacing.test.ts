import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../../support/app.ts'
import { describeEachEngine } from '../../support/database.ts'
import { profileXml } from '../../support/delivery-profile.ts'

const MINUTE = 60_000
const MOST_ROUNDS = 100

describeEachEngine('a revision that fails where the one of before is', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  async function upload(method: 'POST' | 'PUT', path: string, ssid: string) {
    const response = await fetch(`${world.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/x-apple-aspen-config' },
      body: profileXml({ ssid, identifier: 'net.example.replaced' }),
    })
    return (await response.json()) as { id: string; revision: number }
  }

  const told = async ({ facts }: Device) =>
    (await world.api('GET', `/devices/${facts.udid}/deliveries`)).body.items[0]
  const sent = (device: Device) =>
    device.results().filter(({ requestType }) => requestType === 'InstallProfile').length

  async function until(devices: readonly Device[], isSo: () => Promise<boolean>): Promise<void> {
    for (let round = 0; !(await isSo()); round++) {
      if (round === MOST_ROUNDS) throw new Error(`not so: ${JSON.stringify(await told(devices[0]!))}`)
      await world.pass(1_000)
      for (const device of devices) await device.poll()
    }
  }

  test('stays failed, is not sent on and on, halts its rollout, and rolling back leaves what is there', async () => {
    const devices = [await world.enrolled(), await world.enrolled(), await world.enrolled()]
    for (const device of devices) await world.introduced(device)
    const { body: group } = await world.api('POST', '/groups', { name: 'replacing', kind: 'static' })
    const device_ids = devices.map(({ facts }) => facts.udid)
    await world.api('POST', `/groups/${group.id}/members`, { device_ids })
    const profile = await upload('POST', '/profiles', 'one')
    await world.api('PUT', `/groups/${group.id}/contents`, { items: [{ kind: 'profile', id: profile.id }] })
    const all = async (isSo: (delivery: { state: string; revision: number }) => boolean) =>
      (await Promise.all(devices.map(told))).every((delivery) => delivery !== undefined && isSo(delivery))
    await until(devices, () => all(({ state }) => state === 'installed'))
    const before = devices.map(sent)

    for (const device of devices) device.script('InstallProfile', ...Array<'Error'>(50).fill('Error'))
    expect((await upload('PUT', `/profiles/${profile.id}?rollout=true`, 'two')).revision).toBe(2)
    const rollout = { kind: 'profile', id: profile.id, rings: [{ group_id: group.id }, { percent: 100 }] }
    const started = await world.api('POST', '/rollouts', rollout)
    expect(started.status).toBe(201)
    await until(devices, () => all(({ state, revision }) => state === 'failed' && revision === 2))
    for (let round = 0; round < 5; round++) {
      await world.pass(10_000)
      for (const device of devices) await device.poll()
    }
    expect(devices.map(sent)).toEqual(before.map((count) => count + 1))
    expect((await world.api('GET', `/rollouts/${started.body.id}`)).body).toMatchObject({
      state: 'halted',
      reason: 'failures',
      rings: [{ devices: 3, installed: 0, failed: 3 }, { devices: 0 }],
    })

    expect((await world.api('POST', `/rollouts/${started.body.id}/roll-back`)).status).toBe(200)
    await until(devices, () => all(({ state, revision }) => state === 'installed' && revision === 1))
    await world.pass(MINUTE)
    expect(devices.map(sent)).toEqual(before.map((count) => count + 1))
  })
})
