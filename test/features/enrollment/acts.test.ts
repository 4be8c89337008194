import { afterAll, beforeAll, expect, test } from 'vitest'
import { writePlist } from '../../../src/protocol/plist/index.ts'
import { ADMIN_TOKEN, putMessage, startTestApp, type TestApp } from '../../support/app.ts'
import { describeOnEngine } from '../../support/database.ts'
import { liftLimits } from '../../support/governor.ts'
import { identityOf } from '../../support/half-enrolled.ts'

const MAC = { productName: 'MacBookPro18,3', osVersion: '15.1' }

describeOnEngine('embedded', 'acts on a device', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    await liftLimits(world)
  })
  afterAll(() => world.close())

  const known = (id: string, facts: Record<string, unknown>) =>
    database().kysely.updateTable('enrollments').set(facts).where('id', '=', id).execute()
  const phone = async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    await known(device.facts.udid, { supervised: true, os_version: '18.1' })
    return device
  }
  const act = (id: string, name: string, body?: unknown) =>
    world.api('POST', `/devices/${id}/${name}`, body ?? {})
  const shown = async (id: string) => (await world.api('GET', `/devices/${id}`)).body
  /** What devices have said is taken in. */
  const later = async <T>(look: () => Promise<T>): Promise<T> => {
    await world.pass(1_000)
    return look()
  }
  const sent = async (uuid: string) => {
    const { body } = await world.api('GET', `/commands/${uuid}`)
    return Buffer.from(body.plist, 'base64').toString('utf8')
  }
  const eventsOf = async (id: string, type: string) => {
    await world.pass(1_000)
    await world.settle()
    const { items } = (await world.api('GET', `/events?type=${type}&limit=1000`)).body
    return items.filter(({ enrollment_id: of }: { enrollment_id: string }) => of === id)
  }

  test.each([
    ['lock', 'DeviceLock'],
    ['erase', 'EraseDevice'],
    ['restart', 'RestartDevice'],
    ['shut-down', 'ShutDownDevice'],
    ['refresh', undefined],
    ['deliveries/retry', undefined],
  ])('%s asks for nothing, so it needs no body', async (name, type) => {
    const { udid } = (await phone()).facts
    const bodies: [body: string | undefined, contentType: string | undefined][] = [
      [undefined, undefined],
      [undefined, 'application/json'],
      ['', undefined],
      ['', 'application/json'],
      ['', 'application/x-www-form-urlencoded'],
      ['{}', 'application/json'],
    ]
    for (const [body, contentType] of bodies) {
      const response = await fetch(`${world.url}/api/v1/devices/${udid}/${name}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          ...(contentType !== undefined && { 'content-type': contentType }),
        },
        ...(body !== undefined && { body }),
      })
      const told = (await response.json()) as { command_uuid: string; code?: string }
      expect([body, contentType, response.status, told.code]).toEqual([body, contentType, 202, undefined])
      if (type !== undefined) expect(await sent(told.command_uuid)).toContain(`<string>${type}</string>`)
    }
  })

  test('lost mode goes on and off as the device says, and it can be located in it alone', async () => {
    const device = await phone()
    const { udid } = device.facts
    expect(await act(udid, 'locate')).toMatchObject({ status: 409, body: { code: 'not_in_lost_mode' } })
    expect(await act(udid, 'lost-mode', { enabled: true })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/message' }] },
    })
    const on = await act(udid, 'lost-mode', { enabled: true, message: 'Found?', phone_number: '1' })
    expect(on).toMatchObject({ status: 202, body: { command_uuid: expect.any(String), warnings: [] } })
    expect((await shown(udid)).lost_mode).toEqual({ on: false, since: null })
    await device.poll()
    await expect.poll(() => later(async () => (await shown(udid)).lost_mode.on)).toBe(true)
    expect((await act(udid, 'locate')).status).toBe(202)
    await device.poll()
    await expect.poll(() => later(async () => (await shown(udid)).location)).not.toBe(null)
    const { location } = await shown(udid)
    expect(location).toEqual({
      latitude: expect.any(Number),
      longitude: expect.any(Number),
      accuracy: expect.any(Number),
      at: expect.stringMatching(/Z$/),
    })
    expect((await act(udid, 'lost-mode', { enabled: false })).status).toBe(202)
    await device.poll()
    await expect
      .poll(() => later(async () => (await shown(udid)).lost_mode))
      .toEqual({ on: false, since: null })
    await expect.poll(() => eventsOf(udid, 'device.lost_mode_enabled')).toHaveLength(1)
    await expect.poll(() => eventsOf(udid, 'device.lost_mode_disabled')).toHaveLength(1)
    expect(JSON.stringify(await eventsOf(udid, 'device.located'))).not.toContain(String(location.latitude))
  })

  test('lost mode follows what the device acknowledges, whoever has sent it', async () => {
    const device = await phone()
    const { udid } = device.facts
    const raw = (request_type: string, command: object) =>
      world.api('POST', '/commands', { request_type, command, device_ids: [udid] })
    const isOn = () => later(async () => (await shown(udid)).lost_mode.on)
    expect((await raw('EnableLostMode', { Message: 'Found?' })).status).toBe(202)
    await device.poll()
    await expect.poll(isOn).toBe(true)
    expect((await raw('DisableLostMode', {})).status).toBe(202)
    await device.poll()
    await expect.poll(isOn).toBe(false)
  })

  test('an answer to an act that is too large to be read counts as one that says nothing', async () => {
    const device = await phone()
    const { udid } = device.facts
    await act(udid, 'lost-mode', { enabled: true, message: 'Found?' })
    await device.poll()
    await expect.poll(() => later(async () => (await shown(udid)).lost_mode.on)).toBe(true)
    const { body: asked } = await act(udid, 'locate')
    const said = { UDID: udid, Status: 'Acknowledged', CommandUUID: asked.command_uuid, Latitude: 47 }
    const large = Buffer.from(writePlist({ ...said, Padding: 'x'.repeat(2_000_000) }))
    expect((await putMessage(`${world.url}/mdm/connect`, large, { signer: identityOf(device) })).status).toBe(
      200,
    )
    const waiting = () => database().kysely.selectFrom('command_answers').select('seq').execute()
    await expect.poll(() => later(waiting)).toEqual([])
  })

  test('a Mac that is locked gets a PIN, which is read by whoever may and told nowhere else', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    await known(udid, { product_name: MAC.productName, os_version: MAC.osVersion })
    expect((await world.api('GET', `/devices/${udid}/lock-pin`)).status).toBe(404)
    expect((await act(udid, 'lock', { pin: '12345' })).status).toBe(400)
    const locked = await act(udid, 'lock', { message: 'Call us' })
    expect(locked.status).toBe(202)
    const { body: made } = await world.api('GET', `/devices/${udid}/lock-pin`)
    expect(made.pin).toMatch(/^\d{6}$/)
    expect(await sent(locked.body.command_uuid)).not.toContain(made.pin)
    await act(udid, 'lock', { pin: '246813' })
    expect((await world.api('GET', `/devices/${udid}/lock-pin`)).body.pin).toBe('246813')
    await expect.poll(() => eventsOf(udid, 'lock_pin.read')).toHaveLength(2)
    expect(world.logText()).not.toContain('246813')
    const erased = await act(udid, 'erase', { obliteration: 'fallback' })
    expect(await sent(erased.body.command_uuid)).toContain('ObliterateWithWarning')
    expect(await sent((await act(udid, 'erase')).body.command_uuid)).toContain('DoNotObliterate')
  })

  test('the PIN that locks a Mac is the one that it has taken, however often it is locked again', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    await known(udid, { product_name: MAC.productName, os_version: MAC.osVersion })
    const pin = async () => (await world.api('GET', `/devices/${udid}/lock-pin`)).body
    await act(udid, 'lock', { pin: '111111' })
    expect(await pin()).toMatchObject({ pin: '111111', state: 'pending', previous: [] })
    await device.poll()
    const again = await act(udid, 'lock', { pin: '222222' })
    expect(await pin()).toMatchObject({
      pin: '111111',
      state: 'acknowledged',
      previous: [{ pin: '222222', state: 'pending' }],
    })
    await world.api('DELETE', `/commands/${again.body.command_uuid}`)
    await act(udid, 'lock', { pin: '333333' })
    const { previous } = await pin()
    expect(previous.map((one: { pin: string; state: string }) => [one.pin, one.state])).toEqual([
      ['333333', 'pending'],
      ['222222', 'none'],
    ])
  })

  test('a PIN is no matter of a phone', async () => {
    const { udid } = (await phone()).facts
    const locked = await act(udid, 'lock', { pin: '135791' })
    expect(locked.body.warnings).toEqual(['A PIN is for Macs: it is left out.'])
    expect(await sent(locked.body.command_uuid)).not.toContain('PIN')
    expect((await world.api('GET', `/devices/${udid}/lock-pin`)).status).toBe(404)
  })

  test('a passcode is cleared with the token that the device gave, and refused without one', async () => {
    const device = await phone()
    const { udid } = device.facts
    const cleared = await act(udid, 'clear-passcode')
    expect(cleared.status).toBe(202)
    await device.poll()
    const { body } = await world.api('GET', `/commands/${cleared.body.command_uuid}`)
    expect(body.deliveries).toMatchObject([{ state: 'acknowledged' }])
    await known(udid, { unlock_token: null })
    expect(await act(udid, 'clear-passcode')).toMatchObject({
      status: 409,
      body: { code: 'unlock_token_missing' },
    })
  })

  test('goes before all that waits', async () => {
    const device = await phone()
    const { udid } = device.facts
    await world.api('POST', '/commands', { request_type: 'ProfileList', device_ids: [udid] })
    const renamed = await act(udid, 'rename', { device_name: 'Kiosk 7' })
    const { items } = (await world.api('GET', `/devices/${udid}/commands`)).body
    expect(items[0]).toMatchObject({ command_uuid: renamed.body.command_uuid, request_type: 'Settings' })
    expect(await act(udid, 'rename', { device_name: 'ü'.repeat(40) })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/device_name' }] },
    })
  })

  test('is refused, with the reason, where the device cannot do it or is gone', async () => {
    const device = await phone()
    const { udid } = device.facts
    await known(udid, { supervised: false })
    for (const name of ['restart', 'shut-down'])
      expect(await act(udid, name)).toMatchObject({
        status: 422,
        body: { code: 'command_unsuited', devices: [{ device_id: udid, reasons: ['supervision'] }] },
      })
    expect(await act('nobody', 'restart')).toMatchObject({ status: 404 })
    await known(udid, { supervised: true })
    expect((await act(udid, 'erase')).status).toBe(202)
    expect((await device.poll()).end).toBe('erased')
    for (const name of ['lock', 'clear-passcode', 'locate', 'restart', 'erase'])
      expect(await act(udid, name), name).toMatchObject({
        body: { devices: [{ reasons: expect.arrayContaining(['retired']) }] },
      })
  })

  test('an order to return to service carries a fresh enrollment profile, and the device comes back with it', async () => {
    const device = await phone()
    const { udid } = device.facts
    const ordered = await act(udid, 'erase', { return_to_service: {} })
    expect(ordered.status).toBe(202)
    expect(ordered.body.warnings[0]).toContain('Wi-Fi')
    const { body } = await world.api('GET', `/commands/${ordered.body.command_uuid}`)
    expect(body.expires_at).not.toBe(null)
    expect(await act(udid, 'erase', { return_to_service: { wifi_profile_id: 'none' } })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/return_to_service/wifi_profile_id' }] },
    })
    await known(udid, { os_version: '16.7' })
    expect(await act(udid, 'erase', { return_to_service: {} })).toMatchObject({
      status: 422,
      body: { devices: [{ reasons: ['os_version'] }] },
    })
  })

  test('the code that bypasses the Activation Lock is asked for until it is known; former ones stay', async () => {
    // It is asked by itself as well, when its Activation Lock is first told of; that brings nothing here.
    const device = await world.enrolled({ mood: { script: { ActivationLockBypassCode: ['Error'] } } })
    await world.introduced(device)
    const { udid } = device.facts
    const path = `/devices/${udid}/activation-lock-bypass-code`
    expect(await world.api('GET', path)).toMatchObject({ status: 202, body: { state: 'asked' } })
    expect((await world.api('GET', path)).status).toBe(202)
    const { items } = (await world.api('GET', `/devices/${udid}/commands`)).body
    const asked = items.filter(
      ({ request_type: type, finished_at: at }: { request_type: string; finished_at: string | null }) =>
        type === 'ActivationLockBypassCode' && at === null,
    )
    expect(asked).toHaveLength(1)
    await device.poll()
    await expect.poll(() => later(async () => (await world.api('GET', path)).status)).toBe(200)
    const { body } = await world.api('GET', path)
    expect(body).toEqual({ code: expect.any(String), created_at: expect.any(String), previous: [] })
    await expect.poll(() => eventsOf(udid, 'bypass_code.read')).toHaveLength(2)
    expect(world.logText()).not.toContain(body.code)
  })

  test('a code that a device tells twice is told once', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    const kept = () =>
      database().kysely.selectFrom('device_codes').select('code').where('enrollment_id', '=', udid).execute()
    // It is asked once more when its Activation Lock goes on.
    device.person.turnOnActivationLock()
    await act(udid, 'refresh')
    await expect.poll(() => later(async () => (await device.poll(), (await kept()).length))).toBe(2)
    const path = `/devices/${udid}/activation-lock-bypass-code`
    expect((await world.api('GET', path)).body.previous).toEqual([])
  })

  test('an act of which everything has a default takes no body', async () => {
    const { facts } = await phone()
    for (const name of ['lock', 'erase'])
      expect((await world.api('POST', `/devices/${facts.udid}/${name}`)).status).toBe(202)
  })

  test('is asked for its inventory, and not twice', async () => {
    const device = await phone()
    const { udid } = device.facts
    const first = await act(udid, 'refresh')
    expect(first.status).toBe(202)
    expect((await act(udid, 'refresh')).body.command_uuid).toBe(first.body.command_uuid)
  })

  test('what waits for a device that enrolls anew is cancelled with the reason', async () => {
    const device = await phone()
    const { udid } = device.facts
    const waiting = await act(udid, 'restart')
    await world.api('POST', `/devices/${udid}/allow-re-enrollment`)
    expect((await device.enroll({ url: await world.link() })).enrolled).toBe(true)
    const { body } = await world.api('GET', `/commands/${waiting.body.command_uuid}`)
    expect(body.deliveries).toMatchObject([{ state: 'cancelled', reason: 're_enrolled' }])
  })

  test('a device that was erased in lost mode is in it again when it comes back', async () => {
    const device = await phone()
    const { udid } = device.facts
    await act(udid, 'lost-mode', { enabled: true, message: 'Mine' })
    await device.poll()
    await expect.poll(() => later(async () => (await shown(udid)).lost_mode.on)).toBe(true)
    await act(udid, 'erase')
    expect((await device.poll()).end).toBe('erased')
    expect((await device.enroll({ url: await world.link() })).enrolled).toBe(true)
    const isOn = async () => {
      await device.poll()
      return later(async () => (await shown(udid)).lost_mode.on)
    }
    await expect.poll(isOn, { timeout: 20_000 }).toBe(true)
  })
})
