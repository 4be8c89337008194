import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { ADMIN_TOKEN } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { profileXml } from '../support/delivery-profile.ts'

describeOnEngine('postgres', 'what a group delivers in Setup Assistant', (database) => {
  let world: AdeApp
  let made = 0
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
  })
  afterAll(() => world.close())

  async function profile(ssid = 'example'): Promise<{ id: string; identifier: string }> {
    const response = await fetch(`${world.url}/api/v1/profiles`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/x-apple-aspen-config' },
      body: profileXml({ identifier: `net.example.setup${++made}`, ssid }),
    })
    expect(response.status).toBe(201)
    return (await response.json()) as { id: string; identifier: string }
  }

  /** A policy that holds its phones, and what its group delivers. */
  async function policy(...items: { id: string; critical?: boolean }[]): Promise<string> {
    const id = await world.policy({
      ade: { await_device_configured: true, configuration_deadline_minutes: 10, supervised: true },
    })
    const groups = await world.api('GET', `/groups?policy_id=${id}`)
    const { status } = await world.api('PUT', `/groups/${groups.body.items[0].id}/contents`, {
      items: items.map((item) => ({ kind: 'profile', critical: false, ...item })),
    })
    expect(status).toBe(200)
    return id
  }

  /** It is switched on, and time passes until it shows its Home Screen. */
  async function goHome(phone: Phone): Promise<void> {
    let isHome = false
    void phone.powerOn().then(() => (isHome = true))
    await world.until(() => isHome, 1_000)
  }

  const deliveries = async (udid: string) =>
    (await world.api('GET', `/devices/${udid}/deliveries`)).body.items as {
      id: string
      state: string
      reason: string | null
    }[]

  test('it gets what is critical in order, is let go, and then gets the rest', async () => {
    const [first, second, later] = [await profile(), await profile(), await profile()]
    const phone = await world.phone(
      await policy({ id: first.id, critical: true }, { id: later.id }, { id: second.id, critical: true }),
    )
    const going = phone.powerOn()
    let isHome = false
    void going.then(() => (isHome = true))
    await world.until(() => isHome, 500)
    expect(await going).toMatchObject({
      outcome: 'enrolled',
      screen: 'Home Screen',
      awaitedConfiguration: true,
    })
    const order = phone.device.results().map(({ requestType }) => requestType)
    const before = order.slice(0, order.indexOf('DeviceConfigured'))
    expect(before.filter((type) => type === 'InstallProfile')).toHaveLength(2)
    await world.until(
      async () =>
        (await deliveries(phone.facts.udid)).filter(({ state }) => state === 'installed').length === 3,
      1_000,
    )
    expect(phone.violations()).toEqual([])
    const { outcome, timeline } = await world.attemptOf(phone)
    expect([outcome, timeline.at(-1)?.step]).toEqual(['enrolled', 'configured'])
  })

  test('what has failed is tried once more before it is let go', async () => {
    const [bad, good] = [await profile(), await profile()]
    const phone = await world.phone(
      await policy({ id: bad.id, critical: true }, { id: good.id, critical: true }),
      { mood: { script: { InstallProfile: ['Error'] } } },
    )
    await goHome(phone)
    const types = phone.device.results().map(({ requestType }) => requestType)
    const before = types.slice(0, types.indexOf('DeviceConfigured'))
    expect(before.filter((type) => type === 'InstallProfile')).toHaveLength(3)
    expect((await deliveries(phone.facts.udid)).map(({ state }) => state)).toEqual(['installed', 'installed'])
    expect((await world.attemptOf(phone)).timeline.map(({ step }) => step)).not.toContain('release')
  })

  test('what cannot be filled in lets the next one go on', async () => {
    const [bad, good] = [await profile('{{user.email}}'), await profile()]
    const phone = await world.phone(
      await policy({ id: bad.id, critical: true }, { id: good.id, critical: true }),
    )
    await goHome(phone)
    const { timeline } = await world.attemptOf(phone)
    expect(timeline.find(({ step }) => step === 'release')?.detail).toMatchObject({
      released_by: 'commands_done',
      missing: [{ id: bad.id, state: 'failed', reason: 'variable_missing' }],
    })
  })

  test('the timeline tells what was missing as deliveries are told', async () => {
    const busy = await profile()
    const phone = await world.phone(await policy({ id: busy.id, critical: true }), {
      mood: { decide: (type) => (type === 'InstallProfile' ? 'NotNow' : undefined) },
    })
    await goHome(phone)
    const { timeline } = await world.attemptOf(phone)
    const release = timeline.find(({ step }) => step === 'release')
    expect(release?.detail).toMatchObject({ released_by: 'deadline', missing: [{ id: busy.id }] })
    const [missing] = (release?.detail['missing'] ?? []) as { state: string; reason: string | null }[]
    // It was answered with NotNow, or has gone out once more since.
    expect([
      ['waiting', 'not_now'],
      ['sent', null],
    ]).toContainEqual([missing?.state, missing?.reason])
  })

  test('what fails does not hold it for ever; the timeline says what was missing', async () => {
    const bad = await profile()
    const phone = await world.phone(await policy({ id: bad.id, critical: true }), {
      mood: { script: { InstallProfile: ['Error', 'Error', 'Error', 'Error', 'Error', 'Error'] } },
    })
    const going = phone.powerOn()
    let isHome = false
    void going.then(() => (isHome = true))
    await world.until(() => isHome, 1_000)
    const { timeline } = await world.attemptOf(phone)
    const release = timeline.find(({ step }) => step === 'release')
    expect(JSON.stringify(release?.detail)).toContain(bad.id)
  })
})
