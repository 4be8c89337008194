import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { profileXml } from '../support/delivery-profile.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const MOST_ROUNDS = 100

/** A delivery as the API tells it, as far as these tests look at it. */
type Told = { id: string; state: string; reason: string | null; revision: number | null; identifier: string }

describeOnEngine('embedded', 'what groups deliver', (database) => {
  let world: TestApp
  let made = 0
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  async function upload(method: 'POST' | 'PUT', path: string, xml: string) {
    const response = await fetch(`${world.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/x-apple-aspen-config' },
      body: xml,
    })
    const body = (await response.json()) as {
      id: string
      revision: number
      identifier: string
      code?: string
    }
    expect([response.status, body.code]).toEqual([method === 'POST' ? 201 : 200, undefined])
    return body
  }
  const profile = (more: Parameters<typeof profileXml>[0] = {}) =>
    upload('POST', '/profiles', profileXml({ identifier: `net.example.test${++made}`, ...more }))
  const replace = (of: { id: string; identifier: string }, more: Parameters<typeof profileXml>[0] = {}) =>
    upload('PUT', `/profiles/${of.id}`, profileXml({ identifier: of.identifier, ...more }))

  async function group(...devices: Device[]): Promise<string> {
    const { body } = await world.api('POST', '/groups', { name: `group ${++made}`, kind: 'static' })
    if (devices.length > 0) await join(body.id as string, ...devices)
    return body.id as string
  }
  async function join(groupId: string, ...devices: Device[]): Promise<void> {
    await world.api('POST', `/groups/${groupId}/members`, {
      device_ids: devices.map(({ facts }) => facts.udid),
    })
  }
  async function put(groupId: string, ...items: Record<string, unknown>[]) {
    const { status, body } = await world.api('PUT', `/groups/${groupId}/contents`, { items })
    expect([status, body.errors]).toEqual([200, undefined])
    return body as { change_id: string; items: unknown[]; warnings: string[] }
  }
  const bring = ({ id }: { id: string }, more: Record<string, unknown> = {}) => ({
    kind: 'profile',
    id,
    ...more,
  })

  const deliveries = async ({ facts }: Device): Promise<Told[]> =>
    (await world.api('GET', `/devices/${facts.udid}/deliveries`)).body.items
  const statesOf = async (device: Device) =>
    Object.fromEntries((await deliveries(device)).map(({ id, state, reason }) => [id, reason ?? state]))

  /** Time passes and the device comes, until it is so. */
  async function until(device: Device, isSo: () => Promise<boolean> | boolean, ms = 1_000): Promise<void> {
    for (let round = 0; !(await isSo()); round++) {
      if (round === MOST_ROUNDS) throw new Error(`not so: ${JSON.stringify(await deliveries(device))}`)
      await world.pass(ms)
      await device.poll()
    }
  }
  const has = (device: Device, identifier: string) =>
    device.view().profiles.some((one) => one.identifier === identifier)
  const isSettled = async (device: Device) =>
    (await deliveries(device)).every(({ state }) => state === 'installed')
  const hasAll = (device: Device, ...of: { identifier: string }[]) =>
    of.every(({ identifier }) => has(device, identifier))

  async function member(): Promise<Device> {
    const device = await world.enrolled()
    await world.introduced(device)
    return device
  }

  /** The device lists its profiles, some time after whatever it did before, and that is taken in. */
  async function listProfiles(device: Device): Promise<void> {
    await world.pass(1_000)
    const command = { request_type: 'ProfileList', device_ids: [device.facts.udid], priority: 'high' }
    const { body } = await world.api('POST', '/commands', command)
    await until(device, () => device.results().some(({ commandUuid }) => commandUuid === body.uuid))
  }
  /** What the device listed is known of its deliveries. */
  const isListed = async ({ facts }: Device) => {
    const { rows } = await sql`
      select from deliveries where enrollment_id = ${facts.udid} and is_listed`.execute(database().kysely)
    return rows.length > 0
  }

  test('a profile reaches the members of its group, a new revision replaces it, and leaving removes it', async () => {
    const device = await member()
    const wifi = await profile()
    const groupId = await group(device)
    await put(groupId, bring(wifi))
    await until(device, () => has(device, wifi.identifier))
    await until(device, () => isSettled(device))
    expect(await deliveries(device)).toMatchObject([
      {
        kind: 'profile',
        id: wifi.id,
        identifier: wifi.identifier,
        revision: 1,
        state: 'installed',
        because: [{ group_id: groupId }],
      },
    ])
    await replace(wifi, { ssid: 'another' })
    await until(
      device,
      async () => (await deliveries(device))[0]?.revision === 2 && (await isSettled(device)),
    )
    expect(device.view().profiles.filter(({ identifier }) => identifier === wifi.identifier)).toHaveLength(1)
    await world.api('DELETE', `/groups/${groupId}/members/${device.facts.udid}`)
    await until(device, () => !has(device, wifi.identifier))
    await until(device, async () => (await deliveries(device)).length === 0)
    expect(device.violations()).toEqual([])
  })

  test('of two things with one identifier the greater precedence wins; exclude beats all', async () => {
    const device = await member()
    const [weak, strong, other] = [
      await profile({ identifier: 'net.one' }),
      await profile({ identifier: 'net.one', ssid: 's' }),
      await profile(),
    ]
    const [first, second] = [await group(device), await group(device)]
    await put(first, bring(weak, { precedence: 1 }), bring(other))
    await put(second, bring(strong, { precedence: 2 }), bring(other, { exclude: true }))
    await until(device, async () => (await isSettled(device)) && has(device, 'net.one'))
    expect((await deliveries(device)).map(({ id }) => id)).toEqual([strong.id])
    expect(has(device, other.identifier)).toBe(false)
    await put(second)
    await until(device, async () => (await isSettled(device)) && hasAll(device, other))
    expect((await deliveries(device)).map(({ id }) => id).toSorted()).toEqual([weak.id, other.id].toSorted())
    expect(has(device, 'net.one')).toBe(true)
  })

  test('what a person removes comes back, and that is told', async () => {
    const device = await member()
    const vpn = await profile()
    await put(await group(device), bring(vpn))
    await until(device, async () => (await isSettled(device)) && has(device, vpn.identifier))
    await listProfiles(device)
    await until(device, () => isListed(device))
    await world.pass(1_000)
    expect(device.person.removeProfile(vpn.identifier)).toBe(true)
    await listProfiles(device)
    await until(device, () => has(device, vpn.identifier))
    await until(device, () => isSettled(device))
    const { body } = await world.api('GET', '/events?type=delivery.drifted')
    expect(body.items.some((event: { data: { id: string } }) => event.data.id === vpn.id)).toBe(true)
  })

  test('a failure says why, and is tried again with growing pauses, at once when somebody asks', async () => {
    const device = await member()
    const bad = await profile()
    device.script('InstallProfile', 'Error', 'Error')
    const groupId = await group(device)
    await put(groupId, bring(bad))
    await until(device, async () => (await statesOf(device))[bad.id] === 'error')
    const [told] = (await world.api('GET', `/devices/${device.facts.udid}/deliveries`)).body.items
    expect(told).toMatchObject({ state: 'failed', attempts: 1 })
    expect(told.error_chain).not.toBeNull()
    expect(new Date(told.next_try_at).getTime()).toBeGreaterThan(world.clock.now().getTime())
    expect((await world.api('GET', `/groups/${groupId}/status`)).body.counts).toEqual({ failed: 1 })
    expect((await world.api('GET', `/profiles/${bad.id}/status?state=failed`)).body.items).toMatchObject([
      { device_id: device.facts.udid, reason: 'error' },
    ])
    const retried = await world.api('POST', `/devices/${device.facts.udid}/deliveries/retry`, {})
    expect(retried.status).toBe(202)
    await until(device, async () => (await deliveries(device))[0]?.state === 'failed')
    await until(device, () => has(device, bad.identifier), HOUR)
    await until(device, () => isSettled(device))
  })

  test('variables are filled in when it is sent; a missing value fails, and nothing is sent', async () => {
    const device = await member()
    const named = await profile({ ssid: 'wifi-{{device.serial_number}}' })
    const missing = await profile({ ssid: '{{user.email}}' })
    await put(await group(device), bring(named), bring(missing))
    await until(device, () => has(device, named.identifier))
    await until(device, async () => (await statesOf(device))[missing.id] === 'variable_missing')
    expect(JSON.stringify(device.view().profiles)).toContain(`wifi-${device.facts.serialNumber}`)
    expect(has(device, missing.identifier)).toBe(false)
  })

  test('a missing value is found before the device comes, told once, and what lacks it comes when the value does', async () => {
    const device = await member()
    const wanted = await profile({
      ssid: '{{secret.gaps-wifi}} {{user.email|nobody}} {{device.serial_number}}',
    })
    await put(await group(device), bring(wanted))
    const queued = async () =>
      (await world.api('GET', `/devices/${device.facts.udid}/commands`)).body.items.filter(
        ({ request_type: type }: { request_type: string }) => type === 'InstallProfile',
      ).length
    const told = async () => {
      const { body } = await world.api('GET', '/events?type=delivery.failed&limit=200')
      return body.items.filter(({ data }: { data: { id: string } }) => data.id === wanted.id).length
    }
    // It does not come meanwhile.
    while ((await statesOf(device))[wanted.id] !== 'variable_missing') await world.pass(1_000)
    expect([await queued(), device.results().length > 0]).toEqual([0, true])
    const lists = () => device.results().filter(({ requestType }) => requestType === 'ProfileList').length
    for (let time = 0; time < 2; time++) {
      const before = lists()
      await until(device, async () => {
        await world.api('POST', `/devices/${device.facts.udid}/refresh`)
        return lists() > before
      })
    }
    await until(device, async () => (await told()) === 1)
    expect((await deliveries(device))[0]).toMatchObject({ state: 'failed', attempts: 1, next_try_at: null })
    expect(await queued()).toBe(0)
    expect((await world.api('PUT', '/secrets/gaps-wifi', { value: 'One' })).status).toBe(200)
    await until(device, () => has(device, wanted.identifier))
    expect(JSON.stringify(device.view().profiles)).toContain(`One nobody ${device.facts.serialNumber}`)
    expect([await queued(), await told()]).toEqual([1, 1])
  })

  test('a command of the contents goes once to each device that joins after it was added', async () => {
    const [early, late] = [await member(), await member()]
    const groupId = await group(early)
    const command = { kind: 'command', request_type: 'CertificateList', command: {} }
    await put(groupId, command)
    const given = (device: Device) =>
      device.results().filter(({ requestType }) => requestType === 'CertificateList').length
    const before = given(early)
    await world.pass(1_000)
    await world.api('POST', `/groups/${groupId}/members`, { device_ids: [late.facts.udid] })
    const lateBefore = given(late)
    await until(late, () => given(late) > lateBefore)
    await put(groupId, command, bring(await profile()))
    await until(early, async () => (await deliveries(early)).length === 1 && (await isSettled(early)))
    await until(late, async () => (await deliveries(late)).length === 1 && (await isSettled(late)))
    expect(given(early)).toBe(before)
    expect(given(late)).toBe(lateBefore + 1)
  })

  test('predictions say what a device would have, and a dry run what would change', async () => {
    const device = await member()
    const [one, two] = [await profile(), await profile()]
    const groupId = await group(device)
    await put(groupId, bring(one, { critical: true }))
    const predict = async (more: Record<string, unknown> = {}) =>
      (await world.api('POST', '/predictions', { device_id: device.facts.udid, ...more })).body.items
    expect(await predict()).toMatchObject([
      { id: one.id, critical: true, revision: 1, because: [{ group_id: groupId }] },
    ])
    expect(await predict({ contents: { group_id: groupId, items: [bring(two)] } })).toMatchObject([
      { id: two.id },
    ])
    const dry = await world.api('PUT', `/groups/${groupId}/contents?dry_run=true`, { items: [bring(two)] })
    expect(dry.body).toMatchObject({ device_count: 1, installs: 1, removals: 1, replacements: 0 })
    expect((await world.api('GET', `/groups/${groupId}/contents`)).body.items).toMatchObject([{ id: one.id }])
    await until(device, async () => (await isSettled(device)) && has(device, one.identifier))
  })

  test('a command of the contents keeps its data', async () => {
    const device = await member()
    const groupId = await group()
    const command = { ProvisioningProfile: 'aGVsbG8=' }
    await put(groupId, { kind: 'command', request_type: 'InstallProvisioningProfile', command })
    await world.pass(1_000)
    await world.api('POST', `/groups/${groupId}/members`, { device_ids: [device.facts.udid] })
    const sent = () =>
      device.results().find(({ requestType }) => requestType === 'InstallProvisioningProfile')
    await until(device, () => sent() !== undefined)
    const { body } = await world.api('GET', `/commands/${sent()?.commandUuid}`)
    expect(Buffer.from(body.plist, 'base64').toString()).toContain('<data>aGVsbG8=</data>')
  })

  test('a change is counted, and can be stopped', async () => {
    const device = await member()
    const wanted = await profile()
    const groupId = await group(device)
    const { change_id: id } = await put(groupId, bring(wanted))
    const stopped = await world.api('POST', `/changes/${id}/stop`)
    expect([stopped.status, stopped.body.state]).toEqual([202, 'stopped'])
    for (let round = 0; round < 5; round++) {
      await world.pass(MINUTE)
      await device.poll()
    }
    expect(has(device, wanted.identifier)).toBe(false)
    const again = await put(groupId, bring(wanted))
    await until(device, () => has(device, wanted.identifier))
    await until(
      device,
      async () => (await world.api('GET', `/changes/${again.change_id}`)).body.state === 'finished',
    )
    expect((await world.api('GET', `/changes/${again.change_id}`)).body).toMatchObject({
      devices: 1,
      enqueued: 1,
      done: 1,
    })
  })

  test('a removal that was stopped goes on when contents are written, and when deliveries are retried', async () => {
    const device = await member()
    const [first, second] = [await profile(), await profile()]
    const groupId = await group(device)
    const stopRemovalOf = async (wanted: { identifier: string }, ...left: Record<string, unknown>[]) => {
      await until(device, async () => (await isSettled(device)) && has(device, wanted.identifier))
      const { change_id: id } = await put(groupId, ...left)
      expect((await world.api('POST', `/changes/${id}/stop`)).body.state).toBe('stopped')
      await until(device, async () => Object.values(await statesOf(device)).includes('change_stopped'))
      for (let round = 0; round < 3; round++) {
        await world.pass(MINUTE)
        await device.poll()
      }
      expect(has(device, wanted.identifier)).toBe(true)
    }
    await put(groupId, bring(first), bring(second))
    await stopRemovalOf(first, bring(second))
    await put(groupId, bring(second))
    await until(device, () => !has(device, first.identifier))
    await stopRemovalOf(second)
    const retried = await world.api('POST', `/devices/${device.facts.udid}/deliveries/retry`)
    expect([retried.status, retried.body.devices]).toEqual([202, 1])
    await until(device, () => !has(device, second.identifier))
    await until(device, async () => (await deliveries(device)).length === 0)
  })

  test('contents that cannot be are refused as a whole, with a pointer for each fault', async () => {
    const groupId = await group()
    const items = [
      { kind: 'profile', id: 'none' },
      { kind: 'command', request_type: 'DeviceInformation', command: { Queries: 'UDID' } },
    ]
    const { status, body } = await world.api('PUT', `/groups/${groupId}/contents`, { items })
    expect(status).toBe(422)
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/items/0/id',
      '/items/1/command/Queries',
    ])
    expect((await world.api('GET', `/groups/${groupId}/contents`)).body.items).toEqual([])
    expect((await world.api('GET', '/groups/none/contents')).status).toBe(404)
  })

  test('a re-enrolment starts clean, and what is unenrolled has no deliveries', async () => {
    const device = await member()
    const wanted = await profile()
    await put(await group(device), bring(wanted))
    await until(device, async () => (await isSettled(device)) && has(device, wanted.identifier))
    device.erase()
    expect((await device.enroll({ url: await world.link() })).enrolled).toBe(true)
    expect(has(device, wanted.identifier)).toBe(false)
    await until(device, () => has(device, wanted.identifier))
    await until(device, () => isSettled(device))
    await device.checkOut()
    for (let round = 0; (await deliveries(device)).length > 0 && round < MOST_ROUNDS; round++)
      await world.pass(1_000)
    expect(await deliveries(device)).toEqual([])
  })
})
