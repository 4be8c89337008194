import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseCommand } from '../../src/protocol/mdm/index.ts'
import { describeEachEngine } from '../support/database.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

const MINUTE = 60_000

describeEachEngine('commands', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const send = async (id: string, fields: Record<string, unknown> = {}) => {
    const { status, body } = await world.api('POST', '/commands', {
      request_type: 'DeviceLock',
      device_ids: [id],
      ...fields,
    })
    expect(status).toBe(202)
    return body.uuid as string
  }
  const stateOf = async (uuid: string) => (await world.api('GET', `/commands/${uuid}`)).body.deliveries[0]

  test('are delivered by priority, and in their order within one', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const low = await send(device.facts.udid, { priority: 'low' })
    const first = await send(device.facts.udid)
    const second = await send(device.facts.udid)
    const high = await send(device.facts.udid, { priority: 'high' })
    await device.poll()
    const order = device.results().map(({ commandUuid }) => commandUuid)
    expect(order.slice(-4)).toEqual([high, first, second, low])
    expect((await stateOf(low)).state).toBe('acknowledged')
    expect(device.violations()).toEqual([])
  })

  test('wait for not_before, and expire at expires_at', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const now = world.clock.now().getTime()
    const later = await send(device.facts.udid, { not_before: new Date(now + 10 * MINUTE).toISOString() })
    const short = await send(device.facts.udid, {
      not_before: new Date(now + 2 * MINUTE).toISOString(),
      expires_at: new Date(now + 5 * MINUTE).toISOString(),
    })
    await device.poll()
    expect((await stateOf(later)).state).toBe('queued')
    world.clock.advance(6 * MINUTE)
    await device.poll()
    expect(await stateOf(short)).not.toMatchObject({ state: 'acknowledged' })
    await expect.poll(async () => (await stateOf(short)).state).toBe('expired')
    world.clock.advance(5 * MINUTE)
    await device.poll()
    expect((await stateOf(later)).state).toBe('acknowledged')
    expect(device.results().map(({ commandUuid }) => commandUuid)).not.toContain(short)
  })

  test('can be cancelled until they are sent', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const uuid = await send(device.facts.udid)
    expect((await world.api('DELETE', `/commands/${uuid}`)).status).toBe(204)
    expect((await stateOf(uuid)).state).toBe('cancelled')
    await device.poll()
    expect(device.results().map(({ commandUuid }) => commandUuid)).not.toContain(uuid)
    expect((await world.api('DELETE', `/commands/${uuid}`)).body.code).toBe('conflict')
    expect((await world.api('DELETE', '/commands/none')).status).toBe(404)
  })

  test('NotNow is not repeated in its session, tried again at the next Idle, and pushed for after 15 minutes', async () => {
    const script = { ProfileList: ['NotNow', 'NotNow', 'Acknowledged'] as const }
    const device = await world.enrolled({ mood: { script } })
    await world.introduced(device)
    const refused = await send(device.facts.udid, { request_type: 'ProfileList' })
    const other = await send(device.facts.udid)
    const session = await device.poll()
    expect(session.results).toMatchObject({ NotNow: 1, Acknowledged: 1 })
    expect(await stateOf(refused)).toMatchObject({ state: 'not_now', not_now_count: 1 })
    expect((await stateOf(other)).state).toBe('acknowledged')
    const pushes = world.apns.pushes.length
    world.clock.advance(14 * MINUTE)
    await device.poll()
    expect(await stateOf(refused)).toMatchObject({ state: 'not_now', not_now_count: 2 })
    world.clock.advance(59 * MINUTE)
    world.clock.advance(2 * MINUTE)
    await expect
      .poll(async () => {
        await world.pass(2_000)
        return world.apns.pushes.length
      })
      .toBeGreaterThan(pushes)
    await device.poll()
    expect((await stateOf(refused)).state).toBe('acknowledged')
    expect(device.violations()).toEqual([])
  })

  test('an error ends a command, with the chain of its reasons', async () => {
    const device = await world.enrolled({
      mood: { script: { RestartDevice: ['Error'], ShutDownDevice: ['CommandFormatError'] } },
    })
    await device.poll()
    const error = await send(device.facts.udid, { request_type: 'RestartDevice' })
    const format = await send(device.facts.udid, { request_type: 'ShutDownDevice' })
    await device.poll()
    const delivery = await stateOf(error)
    expect(delivery.state).toBe('error')
    expect(delivery.error_chain[0]).toMatchObject({ ErrorDomain: expect.any(String) })
    expect((await stateOf(format)).state).toBe('format_error')
    const logged = world.logText().split('\n')
    const line = logged.find((each) => each.includes('"command.failed"') && each.includes(error))
    expect(JSON.parse(line ?? '{}')).toMatchObject({ status: 'Error', error_chain: delivery.error_chain })
  })

  test('what cannot be queued is refused with all its problems', async () => {
    const unknown = await world.api('POST', '/commands', {
      request_type: 'DeviceLock',
      device_ids: ['nobody'],
    })
    expect(unknown).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ path: 'device_ids.0' }] },
    })
    const device = await world.enrolled()
    const ids = { device_ids: [device.facts.udid] }
    const both = await world.api('POST', '/commands', { ...ids, request_type: 'X', plist: 'AA==' })
    expect(both.body.code).toBe('invalid_request')
    const noPlist = await world.api('POST', '/commands', { ...ids, plist: 'AAAA' })
    expect(noPlist.body.code).toBe('plist_invalid')
    const field = await world.api('POST', '/commands', { ...ids, request_type: 'X', colour: 'red' })
    expect(field.body.errors).toEqual([expect.objectContaining({ path: 'colour' })])
    const nothing = await world.api('POST', '/commands', { ...ids, request_type: 'X', command: { A: null } })
    expect(nothing).toMatchObject({ status: 422, body: { code: 'command_invalid' } })
  })

  test('plain base64 is data where the schema says so', async () => {
    const profile = Buffer.from(
      '<plist><dict><key>PayloadVersion</key><integer>1</integer></dict></plist>',
    ).toString('base64')
    const device = await world.enrolled()
    await world.introduced(device)
    const uuid = await send(device.facts.udid, {
      request_type: 'InstallProfile',
      command: { Payload: profile },
    })
    const { body } = await world.api('GET', `/commands/${uuid}`)
    const { command } = parseCommand(Buffer.from(body.plist, 'base64'))
    expect(Buffer.from(command['Payload'] as Uint8Array).toString('base64')).toBe(profile)
  })

  test('a command of a user channel reaches that channel alone', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { channel } = await device.signIn({ UserID: 'AAAA-1', UserShortName: 'ada', UserLongName: 'Ada' })
    const id = `${device.facts.udid}:AAAA-1`
    expect((await world.api('GET', `/devices/${encodeURIComponent(id)}`)).body).toMatchObject({
      type: 'user',
      state: 'enrolled',
      parent_id: device.facts.udid,
      user_short_name: 'ada',
    })
    const uuid = await send(id, { request_type: 'ProfileList' })
    await device.poll()
    expect((await stateOf(uuid)).state).toBe('queued')
    await device.poll(channel)
    expect((await stateOf(uuid)).state).toBe('acknowledged')
    expect(device.violations()).toEqual([])
  })

  test('10 MB of apps are kept, and shown in pages', async () => {
    const device = await world.enrolled({ appCount: 12_000 })
    await world.introduced(device)
    await send(device.facts.udid, { request_type: 'InstalledApplicationList' })
    await device.poll()
    const first = await world.api('GET', `/devices/${device.facts.udid}/apps?limit=1000`)
    expect(first.body.items).toHaveLength(1000)
    const all = [...first.body.items]
    for (let cursor = first.body.next_cursor; cursor !== null;) {
      const page = await world.api('GET', `/devices/${device.facts.udid}/apps?limit=1000&cursor=${cursor}`)
      all.push(...page.body.items)
      cursor = page.body.next_cursor
    }
    expect(all).toHaveLength(12_000)
  })
})
