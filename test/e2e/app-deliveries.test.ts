import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRandom, inventDevice, type Device, type DeviceOptions } from '../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { deliveryWorld } from '../support/delivery-world.ts'
import { infoPlist, ipa } from '../support/zip.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describeOnEngine('postgres', 'apps that groups deliver', (database) => {
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  let made = 0
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = deliveryWorld(world, 'apps')
  })
  afterAll(() => world.close())

  async function app(more: Record<string, unknown> = {}) {
    const number = 1_000 + ++made
    const store = { kind: 'store', itunes_store_id: number, name: `App ${number}`, device_licence: true }
    const { status, body } = await world.api('POST', '/apps', { ...store, ...more })
    expect([status, body.errors]).toEqual([201, undefined])
    return { id: body.id as string, identifier: `ch.example.store.app${number}` }
  }
  const member = ({ facts, ...more }: Partial<Omit<DeviceOptions, 'facts'>> & { facts?: object } = {}) =>
    at.member({ ...more, ...(facts && { facts: inventDevice(createRandom(`app ${++made}`), facts) }) })
  const bring = ({ id }: { id: string }, more: Record<string, unknown> = {}) => ({ kind: 'app', id, ...more })
  const on = (device: Device, { identifier }: { identifier: string }) =>
    device.view().apps.find((one) => one.identifier === identifier)
  const countOf = (device: Device, type: string) =>
    device.results().filter(({ requestType }) => requestType === type).length
  const eventsOf = async (type: string, { id }: { id: string }) => {
    const { body } = await world.api('GET', `/events?type=${type}&limit=200`)
    return body.items.filter((event: { data: { id: string } }) => event.data.id === id).length
  }

  test('one with a licence comes by itself, and is installed when the device lists it; leaving removes it', async () => {
    const device = await member()
    const wanted = await app()
    const groupId = await at.group(device)
    await at.put(groupId, bring(wanted))
    await at.untilIs([device], wanted, { state: 'sent' })
    await at.untilIs([device], wanted, { state: 'installed', identifier: wanted.identifier })
    expect(countOf(device, 'ManagedApplicationList')).toBeGreaterThan(0)
    // Its identifier was learned from the answer.
    expect((await world.api('GET', `/apps/${wanted.id}`)).body.identifier).toBe(wanted.identifier)
    const [installs, lists] = ['InstallApplication', 'ManagedApplicationList'].map((type) =>
      countOf(device, type),
    )
    await at.pass([device], MINUTE, 5)
    expect([countOf(device, 'InstallApplication'), countOf(device, 'ManagedApplicationList')]).toEqual([
      installs,
      lists,
    ])
    await at.put(groupId)
    await at.until([device], async () => on(device, wanted) === undefined)
    await at.until([device], async () => (await at.deliveries(device)).length === 0)
    expect(device.violations()).toEqual([])
  })

  test('one that is on its way is not installed because another revision of it is the same to send', async () => {
    const device = await member()
    const wanted = await app()
    const groupId = await at.group(device)
    await at.put(groupId, bring(wanted))
    await at.untilIs([device], wanted, { state: 'sent' })
    const patched = await world.api('PATCH', `/apps/${wanted.id}`, { min_os_version: '12.0' })
    expect([patched.status, patched.body.revision]).toEqual([200, 2])
    await at.until([device], async () => {
      const told = await at.delivery(device, wanted)
      if (told?.state !== 'installed') return false
      expect(on(device, wanted)?.status).toBe('Managed')
      return told.revision === 2
    })
    await at.until([device], async () => (await eventsOf('delivery.installed', wanted)) === 1)
    expect(countOf(device, 'InstallApplication')).toBe(1)
  })

  test('one that asks waits for its person; declined it has failed, and is not sent again by itself', async () => {
    const device = await member({ facts: { supervised: false } })
    const [wanted, other] = [await app(), await app()]
    await at.put(await at.group(device), bring(wanted), bring(other))
    await at.untilIs([device], wanted, { state: 'waiting', reason: 'waits_for_person' })
    await at.pass([device], HOUR, 5)
    expect(await at.delivery(device, wanted)).toMatchObject({ state: 'waiting', reason: 'waits_for_person' })
    device.person.accept(other.identifier)
    device.person.decline(wanted.identifier)
    await at.untilIs([device], wanted, { state: 'failed', reason: 'user_rejected' }, HOUR)
    await at.untilIs([device], other, { state: 'installed' }, HOUR)
    const before = countOf(device, 'InstallApplication')
    await at.pass([device], 12 * HOUR, 6)
    await world.api('POST', `/devices/${device.facts.udid}/refresh`)
    await at.pass([device], MINUTE, 5)
    expect(await at.delivery(device, wanted)).toMatchObject({ state: 'failed', reason: 'user_rejected' })
    expect(countOf(device, 'InstallApplication')).toBe(before)
    expect(await eventsOf('delivery.failed', wanted)).toBe(1)
    await world.api('POST', `/devices/${device.facts.udid}/deliveries/retry`, { state: 'failed' })
    await at.untilIs([device], wanted, { state: 'waiting', reason: 'waits_for_person' })
    expect(countOf(device, 'InstallApplication')).toBe(before + 1)
  })

  test('one that was declined is installed when a list that somebody else asked for says that it is there', async () => {
    const device = await member({ facts: { supervised: false } })
    const wanted = await app()
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'waiting', reason: 'waits_for_person' })
    device.person.decline(wanted.identifier)
    await at.untilIs([device], wanted, { state: 'failed', reason: 'user_rejected' }, HOUR)
    // Another tool than Firstboot has it installed after all, and asks for the list.
    const install = {
      request_type: 'InstallApplication',
      command: { iTunesStoreID: 1_000 + made, ManagementFlags: 1 },
    }
    const of = { device_ids: [device.facts.udid] }
    expect((await world.api('POST', '/commands', { ...install, ...of })).status).toBe(202)
    await at.until([device], () => device.person.accept(wanted.identifier) > 0)
    expect(await at.delivery(device, wanted)).toMatchObject({ state: 'failed', reason: 'user_rejected' })
    await at.until([device], async () => {
      await world.api('POST', '/commands', { request_type: 'ManagedApplicationList', command: {}, ...of })
      return (await at.delivery(device, wanted))?.state === 'installed'
    })
    expect(await at.delivery(device, wanted)).toMatchObject({ reason: null, revision: 1 })
    expect(countOf(device, 'InstallApplication')).toBe(2)
    await at.until([device], async () => (await eventsOf('delivery.installed', wanted)) === 1)
  })

  test('one that fails is tried again with growing pauses', async () => {
    const device = await member()
    const wanted = await app()
    device.scriptApp(wanted.identifier, 'Failed', 'Failed')
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'failed', reason: 'install_failed' })
    await at.pass([device], MINUTE, 5)
    expect(countOf(device, 'InstallApplication')).toBe(1)
    await at.until([device], () => countOf(device, 'InstallApplication') === 2, 5 * MINUTE)
    await at.untilIs([device], wanted, { state: 'failed', reason: 'install_failed' })
    const { items } = (await world.api('GET', `/devices/${device.facts.udid}/deliveries`)).body
    expect(items).toMatchObject([{ attempts: 2 }])
    await at.until([device], async () => (await eventsOf('delivery.failed', wanted)) === 2)
    await at.untilIs([device], wanted, { state: 'installed' }, 10 * MINUTE)
    expect(countOf(device, 'InstallApplication')).toBe(3)
  })

  test('one that every device refuses has failed at the next list, though nobody knows its identifier', async () => {
    const device = await member()
    const wanted = await app()
    device.script('InstallApplication', 'Error')
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'failed', reason: 'error', identifier: null })
    await at.untilIs([device], wanted, { state: 'installed' }, 5 * MINUTE)
  })

  test('one that was never answered, and whose identifier nobody knows, is gone when a list came without it', async () => {
    const device = await member()
    const wanted = await app()
    // As often as it may come before it is taken back.
    device.script('InstallApplication', ...Array.from({ length: 40 }, () => 'NotNow' as const))
    const groupId = await at.group(device)
    await at.put(groupId, bring(wanted))
    await at.untilIs([device], wanted, { state: 'waiting', reason: 'not_now' })
    await at.put(groupId)
    await at.until([device], async () => (await at.deliveries(device)).length === 0)
    expect([countOf(device, 'RemoveApplication'), on(device, wanted)]).toEqual([0, undefined])
  })

  test('one whose identifier is told later is judged at once by what the device has listed', async () => {
    const device = await member()
    const wanted = await app()
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'installed' })
    await world.pass(MINUTE)
    // As if the device had told no identifier, and were asked again in a day.
    const { kysely } = database()
    await kysely.updateTable('apps').set({ identifier: null }).where('id', '=', wanted.id).execute()
    await kysely
      .updateTable('deliveries')
      .set({ identifier: null, state: 'queued', asks: 9, asked_at: world.clock.now() })
      .where('thing_id', '=', wanted.id)
      .execute()
    const { status } = await world.api('PATCH', `/apps/${wanted.id}`, { identifier: wanted.identifier })
    expect(status).toBe(200)
    await at.until([], async () => (await at.delivery(device, wanted))?.state === 'installed')
  })

  test('a hosted one is fetched, and installed when its version is there; the next one replaces it', async () => {
    const device = await member()
    const { body: hosted } = await world.api('POST', '/apps', { kind: 'enterprise', name: 'Till' })
    const groupId = await at.group(device)
    await at.put(groupId, bring(hosted))
    await at.untilIs([device], hosted, { state: 'failed', reason: 'package_missing' })
    const put = (version: string) =>
      world.api('PUT', `/apps/${hosted.id}/package`, ipa(infoPlist({ CFBundleVersion: version })))
    expect((await put('42')).status).toBe(200)
    await at.untilIs([device], hosted, { state: 'installed', revision: 2, identifier: 'com.example.till' })
    await put('43')
    await at.untilIs([device], hosted, { state: 'installed', revision: 3 })
    expect(on(device, { identifier: 'com.example.till' })).toMatchObject({ version: '43' })
    expect(countOf(device, 'InstallApplication')).toBe(2)
    expect(device.violations()).toEqual([])
  })

  test('another configuration alone is set, and installs nothing', async () => {
    const device = await member()
    const wanted = await app({ configuration: { server: '{{device.serial_number}}' } })
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'installed', revision: 1 })
    await world.api('PATCH', `/apps/${wanted.id}`, { configuration: { server: 'other' } })
    await at.untilIs([device], wanted, { state: 'installed', revision: 2 })
    expect(on(device, wanted)).toMatchObject({ configuration: { server: 'other' } })
    expect([countOf(device, 'InstallApplication'), countOf(device, 'Settings')]).toEqual([1, 1])
  })

  test('one that its person deletes before another configuration comes is installed again', async () => {
    const device = await member()
    const wanted = await app({ configuration: { server: 'one' } })
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'installed', revision: 1 })
    device.person.deleteApp(wanted.identifier)
    await world.api('PATCH', `/apps/${wanted.id}`, { configuration: { server: 'two' } })
    await at.until([device], () => countOf(device, 'Settings') === 1)
    await at.until([device], () => countOf(device, 'InstallApplication') === 2, 5_000)
    await at.untilIs([device], wanted, { state: 'installed', revision: 2 })
    expect(on(device, wanted)).toMatchObject({ configuration: { server: 'two' } })
  })

  test('a configuration that was not taken has failed, though the app is there and managed', async () => {
    const device = await member()
    const wanted = await app({ configuration: { server: 'one' } })
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'installed', revision: 1 })
    device.script('Settings', { links: [{ domain: 'MCMDMErrorDomain', code: 12001, description: 'No.' }] })
    await world.api('PATCH', `/apps/${wanted.id}`, { configuration: { server: 'two' } })
    await at.untilIs([device], wanted, { state: 'failed', reason: 'error', revision: 2 })
    await world.api('POST', `/devices/${device.facts.udid}/refresh`)
    await at.pass([device], 1_000, 5)
    expect(await at.delivery(device, wanted)).toMatchObject({ state: 'failed', reason: 'error' })
    expect(on(device, wanted)).toMatchObject({ configuration: { server: 'one' } })
    await at.untilIs([device], wanted, { state: 'installed', revision: 2 }, 5 * MINUTE)
    expect(on(device, wanted)).toMatchObject({ configuration: { server: 'two' } })
    expect(device.violations()).toEqual([])
  })

  test('one that was on its way already, with what was to be configured before, is configured', async () => {
    const device = await member()
    const wanted = await app({ configuration: { server: 'one' } })
    await world.api('PATCH', `/apps/${wanted.id}`, { identifier: wanted.identifier })
    device.lose('before', 'InstallApplication')
    await at.put(await at.group(device), bring(wanted))
    await at.until([device], () => on(device, wanted) !== undefined)
    const next = await world.api('PATCH', `/apps/${wanted.id}`, { configuration: { server: 'two' } })
    const { revision } = next.body
    await at.untilIs([device], wanted, { state: 'installed', revision })
    expect(device.results().some(({ status }) => status === 'Error')).toBe(true)
    expect(on(device, wanted)).toMatchObject({ configuration: { server: 'two' } })
  })

  test('one that was on its way and is not any more has failed at once, and is tried again later', async () => {
    const device = await member()
    const wanted = await app()
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'sent', reason: 'installing' })
    expect(device.person.deleteApp(wanted.identifier)).toBe(true)
    await at.untilIs([device], wanted, { state: 'failed', reason: 'not_on_device' }, 5_000)
    await at.untilIs([device], wanted, { state: 'installed' }, 5 * MINUTE)
    expect(countOf(device, 'InstallApplication')).toBe(2)
  })

  test('what its person deletes comes back, and that is told', async () => {
    const device = await member()
    const wanted = await app()
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'installed' })
    expect(device.person.deleteApp(wanted.identifier)).toBe(true)
    await at.pass([device], MINUTE, 1)
    await world.api('POST', `/devices/${device.facts.udid}/refresh`)
    await at.until([device], async () => (await eventsOf('delivery.drifted', wanted)) === 1)
    await at.untilIs([device], wanted, { state: 'installed' })
    await at.until([device], () => on(device, wanted) !== undefined)
    expect(countOf(device, 'InstallApplication')).toBe(2)
  })

  test('an OS that is too old keeps it back until it is a newer one', async () => {
    const device = await member({ facts: { osVersion: '18.1', buildVersion: '22B83' } })
    const wanted = await app({ min_os_version: '18.4' })
    await at.put(await at.group(device), bring(wanted))
    await at.untilIs([device], wanted, { state: 'waiting', reason: 'os_version' })
    await at.pass([device], MINUTE, 2)
    device.person.updateOs('18.5', '22F76')
    await world.api('POST', `/devices/${device.facts.udid}/refresh`)
    await at.untilIs([device], wanted, { state: 'installed' })
  })

  test('a profile that locks the device to an app waits for that app', async () => {
    const device = await member()
    const locked = await app()
    const profile = await at.profile({ lockedTo: locked.identifier })
    await world.api('PATCH', `/apps/${locked.id}`, { identifier: locked.identifier })
    device.scriptApp(locked.identifier, 'Failed')
    await at.put(await at.group(device), at.bring(profile), bring(locked))
    await at.untilIs([device], locked, { state: 'failed' })
    expect(await at.delivery(device, profile)).toMatchObject({ state: 'waiting', reason: 'app_missing' })
    await at.untilIs([device], locked, { state: 'installed' }, 5 * MINUTE)
    await at.untilIs([device], profile, { state: 'installed' })
  })

  test('in lost mode everything waits, and goes on by itself', async () => {
    const device = await member()
    const [wanted, profile] = [await app(), await at.profile()]
    const lost = (enabled: boolean) =>
      world.api('POST', `/devices/${device.facts.udid}/lost-mode`, { enabled, message: 'Lost' })
    expect((await lost(true)).status).toBe(202)
    const isLost = async () => (await world.api('GET', `/devices/${device.facts.udid}`)).body.lost_mode?.on
    await at.until([device], async () => (await isLost()) === true)
    await at.put(await at.group(device), bring(wanted), at.bring(profile))
    for (const one of [wanted, profile])
      await at.untilIs([device], one, { state: 'waiting', reason: 'lost_mode' })
    await at.pass([device], HOUR, 3)
    expect([countOf(device, 'InstallApplication'), countOf(device, 'InstallProfile')]).toEqual([0, 0])
    expect((await lost(false)).status).toBe(202)
    for (const one of [wanted, profile]) await at.untilIs([device], one, { state: 'installed' })
  })

  test('what is for a user goes to all but Macs by the channel of the device', async () => {
    const device = await member({ facts: { platform: 'ios', productName: 'iPhone14,5' } })
    const profile = await at.profile({ scope: 'User' })
    await at.put(await at.group(device), at.bring(profile))
    await at.untilIs([device], profile, { state: 'installed' })
  })

  test('what a Mac says of a profile that is not there counts as its removal', async () => {
    const device = await member({
      facts: { platform: 'macos', productName: 'Mac14,2', modelName: 'MacBook Air' },
    })
    const profile = await at.profile()
    const groupId = await at.group(device)
    await at.put(groupId, at.bring(profile))
    await at.untilIs([device], profile, { state: 'installed' })
    const description = `Profile with identifier '${profile.identifier}' not found.`
    device.script('RemoveProfile', { links: [{ domain: 'MDMClientError', code: 89, description }] })
    await at.put(groupId)
    await at.until([device], async () => (await at.deliveries(device)).length === 0)
    expect(countOf(device, 'RemoveProfile')).toBe(1)
  })

  test('what is for a user of a Mac waits for one, and goes by that channel', async () => {
    const device = await member({
      facts: { platform: 'macos', productName: 'Mac14,2', modelName: 'MacBook Air' },
    })
    const profile = await at.profile({ scope: 'User' })
    const groupId = await at.group(device)
    await at.put(groupId, at.bring(profile))
    await at.untilIs([device], profile, { state: 'waiting', reason: 'no_user_channel' })
    const { channel, answer } = await device.signIn({
      UserID: 'A1B2C3D4-0000-4000-8000-000000000001',
      UserShortName: 'ada',
      UserLongName: 'Ada',
    })
    expect(answer.kind).toBe('ok')
    const come = async (isSo: () => Promise<boolean>) => {
      for (let round = 0; !(await isSo()); round++) {
        expect(round).toBeLessThan(200)
        await world.pass(1_000)
        await device.poll(channel)
        await device.poll()
      }
    }
    await come(async () => (await at.delivery(device, profile))?.state === 'installed')
    const types = device.results(channel).map(({ requestType }) => requestType)
    expect(types).toContain('InstallProfile')
    expect(countOf(device, 'InstallProfile')).toBe(0)
    // The list of the device does not name what is the user's.
    const lists = countOf(device, 'ProfileList')
    await world.api('POST', `/devices/${device.facts.udid}/refresh`)
    await come(async () => countOf(device, 'ProfileList') > lists)
    await at.pass([device], MINUTE, 2)
    expect(await at.delivery(device, profile)).toMatchObject({ state: 'installed' })
    // It goes from where it is, whoever came last.
    await world.pass(1_000)
    await device.signIn({
      UserID: 'A1B2C3D4-0000-4000-8000-000000000002',
      UserShortName: 'bob',
      UserLongName: 'Bob',
    })
    await at.put(groupId)
    await world.api('DELETE', `/profiles/${profile.id}`)
    await come(async () => (await at.deliveries(device)).length === 0)
    expect(device.results(channel).map(({ requestType }) => requestType)).toContain('RemoveProfile')
    expect(device.violations()).toEqual([])
  })
})
