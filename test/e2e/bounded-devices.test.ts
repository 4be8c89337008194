import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { writePlist, type WritablePlist } from '../../src/protocol/plist/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'

describeEachEngine('what a device can write', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const checkIn = (device: Device, keys: Record<string, WritablePlist>) =>
    putMessage(
      `${world.url}/mdm/checkin`,
      Buffer.from(writePlist({ UDID: device.facts.udid, Topic: TOPIC, ...keys })),
      { signer: identityOf(device), type: CHECK_IN },
    )
  const messagesOf = async ({ facts }: Device, type: string) => {
    const rows = await database()
      .kysely.selectFrom('checkin_messages')
      .select(['raw'])
      .where('enrollment_id', '=', facts.udid)
      .where('message_type', '=', type)
      .execute()
    return rows.length
  }
  const rowOf = ({ facts }: Device) =>
    database()
      .kysely.selectFrom('enrollments')
      .selectAll()
      .where('id', '=', facts.udid)
      .executeTakeFirstOrThrow()
  const updatesTold = async ({ facts }: Device) => {
    const types = await Promise.all(
      (['events', 'event_outbox'] as const).map((table) =>
        database()
          .kysely.selectFrom(table)
          .select('type')
          .where('enrollment_id', '=', facts.udid)
          .where('type', '=', 'device.token_updated')
          .execute(),
      ),
    )
    return types.flat().length
  }

  test('a TokenUpdate is kept when something changed, a repetition is counted', async () => {
    const device = await world.enrolled()
    const before = await messagesOf(device, 'TokenUpdate')
    const { token_update_tally } = await rowOf(device)
    for (let time = 0; time < 5; time++)
      expect((await checkIn(device, { ...TOKEN_UPDATE, PushMagic: 'same' })).status).toBe(200)
    expect(await messagesOf(device, 'TokenUpdate')).toBe(before + 1)
    expect(await updatesTold(device)).toBe(1)
    expect(await rowOf(device)).toMatchObject({
      message_repeats: 4,
      token_update_tally: token_update_tally + 5,
      push_magic: 'same',
    })
    await checkIn(device, { ...TOKEN_UPDATE, PushMagic: 'another' })
    expect(await messagesOf(device, 'TokenUpdate')).toBe(before + 2)
    expect(await rowOf(device)).toMatchObject({ message_repeats: 0, push_magic: 'another' })
  })

  test('one that changes each time is kept as far as a day has room, and obeyed all the same', async () => {
    const device = await world.enrolled()
    const before = await messagesOf(device, 'TokenUpdate')
    const padding = Buffer.alloc(600_000, 7)
    for (let time = 0; time < 8; time++) {
      const keys = { ...TOKEN_UPDATE, PushMagic: `magic ${time}`, Padding: padding }
      expect((await checkIn(device, keys)).status).toBe(200)
    }
    const kept = (await messagesOf(device, 'TokenUpdate')) - before
    expect(kept).toBeGreaterThan(2)
    expect(kept).toBeLessThan(8)
    expect((await rowOf(device)).push_magic).toBe('magic 7')
    world.clock.advance(25 * 60 * 60_000)
    await checkIn(device, { ...TOKEN_UPDATE, PushMagic: 'tomorrow' })
    expect((await messagesOf(device, 'TokenUpdate')) - before).toBe(kept + 1)
  })

  test('bootstrap tokens: one is stored, of a bounded size, and a repetition adds nothing', async () => {
    const device = await world.enrolled()
    const set = { MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.alloc(300, 3) }
    for (let time = 0; time < 3; time++) expect((await checkIn(device, set)).status).toBe(200)
    expect(await messagesOf(device, 'SetBootstrapToken')).toBe(1)
    const large = { ...set, BootstrapToken: Buffer.alloc(1_000_000) }
    expect((await checkIn(device, large)).status).toBe(400)
    const odd = { ...set, BootstrapToken: 'text' }
    expect((await checkIn(device, odd)).status).toBe(400)
    expect((await rowOf(device)).bootstrap_token).not.toBeNull()
  })

  test('what DeviceInformation tells of the device is known though Authenticate did not say it', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    await database()
      .kysely.updateTable('enrollments')
      .set({ imei: null, meid: null, serial_number: null, model: null })
      .where('id', '=', udid)
      .execute()
    const put = (keys: Record<string, WritablePlist>) =>
      putMessage(`${world.url}/mdm/connect`, Buffer.from(writePlist({ UDID: udid, ...keys })), {
        signer: identityOf(device),
      })
    const answer = async (QueryResponses: Record<string, WritablePlist>) => {
      const { body } = await world.api('POST', '/commands', {
        request_type: 'DeviceInformation',
        command: { Queries: ['SerialNumber'] },
        device_ids: [udid],
      })
      await put({ Status: 'Acknowledged', CommandUUID: body.uuid as string, QueryResponses })
      return (await world.api('GET', `/devices/${udid}`)).body
    }
    const subscriptions = [
      { Slot: 'CTSubscriptionSlotOne' },
      { Slot: 'CTSubscriptionSlotTwo', IMEI: '35 000000 000000 1', MEID: '35000000000000' },
    ]
    expect(await answer({ SerialNumber: 'A+B/C' })).toMatchObject({ serial_number: null })
    const known = {
      imei: '35 000000 000000 1',
      meid: '35000000000000',
      serial_number: 'NEWSERIAL1',
      model: 'MQ123',
    }
    expect(
      await answer({ ServiceSubscriptions: subscriptions, SerialNumber: 'NEWSERIAL1', Model: 'MQ123' }),
    ).toMatchObject(known)
    expect(await answer({ OSVersion: '26.1', IMEI: 5, ServiceSubscriptions: 'none' })).toMatchObject(known)
    // A serial number that is known is not another one because the device says so.
    expect(await answer({ SerialNumber: 'SOMEBODYELSE' })).toMatchObject(known)
    const asked = await database()
      .kysely.selectFrom('commands')
      .select('uuid')
      .where('purpose', '=', 'inventory')
      .executeTakeFirstOrThrow()
    const { plist } = (await world.api('GET', `/commands/${asked.uuid}`)).body
    const queries = Buffer.from(plist, 'base64').toString()
    for (const query of ['IMEI', 'MEID', 'SerialNumber', 'Model', 'ServiceSubscriptions'])
      expect(queries).toContain(`<string>${query}</string>`)
    expect(queries).not.toMatch(/OSUpdateSettings|SoftwareUpdate/)
  })

  test('the plist of a command is sealed in the database, and reaches the device as it was given', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    const { body: queued } = await world.api('POST', '/commands', {
      request_type: 'DeviceLock',
      command: { PIN: '987654', Message: 'Found' },
      device_ids: [udid],
    })
    const kept = async () =>
      database()
        .kysely.selectFrom('commands')
        .select(['body', 'is_plain'])
        .where('uuid', '=', queued.uuid as string)
        .executeTakeFirstOrThrow()
    expect((await kept()).body.includes('987654')).toBe(false)
    const shown = async () =>
      Buffer.from(
        (await world.api('GET', `/commands/${queued.uuid}`)).body.plist as string,
        'base64',
      ).toString()
    expect(await shown()).toContain('Found')
    // Nobody is shown a PIN, nor what was answered when it was given.
    expect(await shown()).not.toContain('987654')
    expect(queued).not.toHaveProperty('plist')
    expect(world.logText()).not.toContain('987654')
    const idle = { Status: 'Idle', UDID: udid }
    const given = await putMessage(`${world.url}/mdm/connect`, idle, { signer: identityOf(device) })
    expect(given.body.toString()).toContain('<string>987654</string>')

    // One of before is delivered as it is, and sealed by and by.
    await database()
      .kysely.updateTable('commands')
      .set({ body: given.body, is_plain: true })
      .where('uuid', '=', queued.uuid as string)
      .execute()
    const again = await putMessage(`${world.url}/mdm/connect`, idle, { signer: identityOf(device) })
    expect(again.body.equals(given.body)).toBe(true)
    await expect
      .poll(async () => {
        await world.pass(61 * 60_000)
        return (await kept()).is_plain
      })
      .toBe(false)
    const box = createSecretBox({ key: Buffer.alloc(32, 7) })
    expect(box.open((await kept()).body, `commands.body:${queued.uuid}`).equals(given.body)).toBe(true)
    const third = await putMessage(`${world.url}/mdm/connect`, idle, { signer: identityOf(device) })
    expect(third.body.equals(given.body)).toBe(true)
  })
})
