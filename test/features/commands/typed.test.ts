import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writePlist } from '../../../src/protocol/plist/index.ts'
import { startTestApp, type TestApp } from '../../support/app.ts'
import { describeEachEngine } from '../../support/database.ts'

describeEachEngine('typed commands', (database) => {
  let world: TestApp
  let phone: string
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    const device = await world.enrolled()
    await world.introduced(device)
    phone = device.facts.udid
  })
  afterAll(() => world.close())

  const send = (body: Record<string, unknown>) =>
    world.api('POST', '/commands', { device_ids: [phone], ...body })
  const known = (id: string, facts: Record<string, unknown>) =>
    database().kysely.updateTable('enrollments').set(facts).where('id', '=', id).execute()

  test('wrong keys are named by their places, also in a property list, and force does not help', async () => {
    for (const force of [false, true]) {
      const answer = await send({ request_type: 'DeviceLock', command: { Massage: 'x', PIN: 1 }, force })
      expect(answer).toMatchObject({ status: 422, body: { code: 'command_invalid' } })
      expect(answer.body.errors).toEqual([
        { pointer: '/command/Massage', detail: 'This key is not known here; it may be Message.' },
        { pointer: '/command/PIN', detail: 'This is to be a text, not an integer.' },
      ])
    }
    const command = { CommandUUID: 'P', Command: { RequestType: 'DeviceInformation', Queries: [7] } }
    const plist = Buffer.from(writePlist(command)).toString('base64')
    expect((await send({ plist })).body.errors).toEqual([
      { pointer: '/plist/Command/Queries/0', detail: 'This is to be a text, not an integer.' },
    ])
    expect((await send({ request_type: 'InstallProfile', command: { Payload: '*' } })).body.errors).toEqual([
      { pointer: '/command/Payload', detail: '$data is not base64' },
    ])
  })

  test('a type or a value that nobody knows is sent by force alone', async () => {
    const unknown = { request_type: 'NoSuchCommand', command: { a: 1 } }
    const refused = await send(unknown)
    expect(refused).toMatchObject({ status: 422, body: { code: 'command_invalid' } })
    expect(refused.body.errors).toMatchObject([{ pointer: '/request_type' }])
    expect((await send({ ...unknown, force: true, dry_run: true })).status).toBe(202)
    const query = { request_type: 'DeviceInformation', command: { Queries: ['UUID'] }, dry_run: true }
    expect((await send(query)).body.errors).toMatchObject([{ pointer: '/command/Queries/0' }])
    expect((await send({ ...query, force: true })).status).toBe(202)
  })

  test('what does not suit a device is refused with the reasons, for nobody else either, unless forced', async () => {
    const other = (await world.enrolled()).facts.udid
    await known(phone, { os_version: '27.0', supervised: false })
    const order = {
      request_type: 'AvailableOSUpdates',
      device_ids: [phone, other],
    }
    const refused = await send(order)
    expect(refused).toMatchObject({ status: 422, body: { code: 'command_unsuited' } })
    expect(refused.body.devices[0]).toEqual({
      device_id: phone,
      reasons: ['os_version', 'retired', 'supervision'],
      details: [
        expect.stringMatching(/^AvailableOSUpdates was removed in iOS 27\.0\. .* instead\.$/),
        'AvailableOSUpdates needs a supervised device.',
      ],
    })
    const queued = await world.api('GET', '/commands?request_type=AvailableOSUpdates')
    expect(queued.body.items).toEqual([])
    const forced = await send({ ...order, force: true })
    expect(forced.status).toBe(202)
    expect(forced.body.warnings[0]).toContain('was removed in iOS 27.0')
    await world.api('DELETE', `/commands/${forced.body.uuid}`)
  })

  test('what is deprecated, or will be left out, is a warning', async () => {
    await known(phone, { os_version: '26.0', supervised: true })
    const updates = await send({ request_type: 'OSUpdateStatus', dry_run: true })
    expect(updates.status).toBe(202)
    expect(updates.body.warnings[0]).toMatch(/^OSUpdateStatus is deprecated since iOS 26\.0\./)
    const lock = await send({ request_type: 'DeviceLock', command: { PIN: '123456' }, dry_run: true })
    expect(lock.body.warnings).toEqual(['The key PIN does not exist on iOS. It is left out.'])
    expect((await send({ request_type: 'ProfileList', dry_run: true })).body.warnings).toEqual([])
  })

  describe('for groups', () => {
    test('goes to their members of this moment, each once', async () => {
      const [one, two] = [(await world.enrolled()).facts.udid, (await world.enrolled()).facts.udid]
      const group = (await world.api('POST', '/groups', { name: `Typed ${one}` })).body.id as string
      await world.api('POST', `/groups/${group}/members`, { device_ids: [one, two] })
      const order = { request_type: 'ProfileList', group_ids: [group], device_ids: undefined }
      expect((await send(order)).body).toMatchObject({ device_count: 2 })
      expect((await send({ ...order, device_ids: [one, phone] })).body).toMatchObject({ device_count: 3 })
    })

    test('that do not exist or have nobody, it is refused', async () => {
      const group = (await world.api('POST', '/groups', { name: `Nobody ${phone}` })).body.id as string
      const order = { request_type: 'ProfileList', device_ids: undefined }
      expect(await send({ ...order, group_ids: ['none'] })).toMatchObject({
        status: 400,
        body: { errors: [{ path: 'group_ids.0' }] },
      })
      expect((await send({ ...order, group_ids: [group] })).status).toBe(400)
      expect((await send(order)).status).toBe(400)
    })
  })

  describe('looked at again before it is sent', () => {
    const updated = async (forced: boolean) => {
      const device = await world.enrolled()
      await world.introduced(device)
      const { udid } = device.facts
      await known(udid, { os_version: '26.4', supervised: true })
      const order = { device_ids: [udid], force: forced }
      const information = { Queries: ['OSVersion', 'SoftwareUpdateSettings'] }
      const sent = [
        await send({ ...order, request_type: 'OSUpdateStatus' }),
        await send({ ...order, request_type: 'DeviceInformation', command: information }),
        await send({ ...order, request_type: 'ProfileList' }),
      ]
      await known(udid, { os_version: '27.0' })
      await device.poll()
      const states = await Promise.all(
        sent.map(async ({ body }) => {
          const [delivery] = (await world.api('GET', `/commands/${body.uuid}`)).body.deliveries
          return [delivery.state, delivery.reason]
        }),
      )
      return { device, states }
    }

    test('what a device is unsuited for by then is cancelled, and the next one goes out in its place', async () => {
      const { device, states } = await updated(false)
      expect(states).toEqual([
        ['cancelled', 'os_version'],
        ['cancelled', 'os_version'],
        ['acknowledged', null],
      ])
      expect(device.violations()).toEqual([])
      const told = async () => {
        await world.pass(100)
        const { items } = (await world.api('GET', '/events?type=command.cancelled&limit=1000')).body
        const own = items.filter(
          (event: { enrollment_id: string }) => event.enrollment_id === device.facts.udid,
        )
        return own.map(({ reason }: { reason: string }) => reason)
      }
      await expect.poll(told).toEqual(['os_version', 'os_version'])
    })

    test('but for what was forced', async () => {
      const { states } = await updated(true)
      expect(states.map(([, reason]) => reason)).toEqual([null, null, null])
      expect(states.map(([state]) => state)).not.toContain('cancelled')
    })
  })

  test('the types are told with platforms, channels, supervision and their keys', async () => {
    const all: string[] = []
    for (let cursor = ''; ;) {
      const { body } = await world.api('GET', `/command-types?limit=50${cursor}`)
      all.push(...body.items.map(({ request_type }: { request_type: string }) => request_type))
      if (body.next_cursor === null) break
      cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`
    }
    expect(all).toHaveLength(68)
    expect(all.toSorted()).toEqual(all)
    const { items } = (await world.api('GET', '/command-types?request_type=ScheduleOSUpdate')).body
    expect(items).toMatchObject([
      {
        request_type: 'ScheduleOSUpdate',
        platforms: { ios: { introduced: '9.0', deprecated: '26.0', removed: '27.0', supervised: true } },
        channels: ['device'],
        replaced_by: expect.stringContaining('softwareupdate.enforcement.specific'),
        keys: { type: 'object', required: ['Updates'], additionalProperties: false },
      },
    ])
  })
})
