import { afterAll, beforeAll, expect, test } from 'vitest'
import { parsePlist, writePlist, type PlistDict, type WritablePlist } from '../../src/protocol/plist/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { putMessage, startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityOf } from '../support/half-enrolled.ts'

const HOUR = 3_600_000

describeEachEngine('inventory', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    await world.api('PATCH', '/settings', { inventory_interval_hours: null })
  })
  afterAll(() => world.close())

  const idOf = (device: Device) => device.facts.udid
  const put = (device: Device, keys: Record<string, WritablePlist>) =>
    putMessage(`${world.url}/mdm/connect`, Buffer.from(writePlist({ UDID: idOf(device), ...keys })), {
      signer: identityOf(device),
    })
  /** The next command that a device is given, after its answer to one. */
  const next = async (device: Device, answer: Record<string, WritablePlist> = { Status: 'Idle' }) => {
    const { body } = await put(device, answer)
    if (body.length === 0) return undefined
    return parsePlist(body) as { CommandUUID: string; Command: PlistDict & { RequestType: string } }
  }
  /** Answers everything that a device is asked, by its type; gives the types in their order. */
  const answerAll = async (device: Device, answers: Record<string, Record<string, WritablePlist>> = {}) => {
    const asked = await answer(device, answers)
    await takenIn()
    return asked
  }
  const answer = async (device: Device, answers: Record<string, Record<string, WritablePlist>> = {}) => {
    const asked: string[] = []
    for (let command = await next(device); command !== undefined;) {
      asked.push(command.Command.RequestType)
      const keys = answers[command.Command.RequestType] ?? {}
      command = await next(device, { Status: 'Acknowledged', CommandUUID: command.CommandUUID, ...keys })
    }
    return asked
  }
  /** What has come is in the tables. */
  const takenIn = async () => {
    const { kysely } = database()
    for (let round = 0; round < 200; round++) {
      await world.pass(100)
      const answers = await kysely.selectFrom('command_answers').select('seq').execute()
      const untold = await kysely.selectFrom('event_outbox').select('type').execute()
      if (answers.length + untold.length === 0) return
    }
    throw new Error('inventory was not taken in')
  }
  const asked = async (device: Device) => {
    for (let round = 0; round < 200; round++) {
      await world.pass(100)
      const { rows } = await pending(device)
      if (rows.length >= 7) return
    }
    throw new Error('the device was not asked')
  }
  const pending = async (device: Device) => ({
    rows: await database()
      .kysely.selectFrom('pending_deliveries as p')
      .innerJoin('commands as c', 'c.uuid', 'p.command_uuid')
      .select(['c.request_type', 'c.priority', 'c.uuid'])
      .where('p.enrollment_id', '=', idOf(device))
      .orderBy('p.seq')
      .execute(),
  })
  const profiles = (device: Device) =>
    database()
      .kysely.selectFrom('device_profiles')
      .selectAll()
      .where('enrollment_id', '=', idOf(device))
      .execute()
  const apps = (device: Device) =>
    database()
      .kysely.selectFrom('device_apps')
      .selectAll()
      .where('enrollment_id', '=', idOf(device))
      .execute()
  const events = async (device: Device, type: string) => {
    await takenIn()
    const { body } = await world.api('GET', `/devices/${idOf(device)}/timeline?limit=200`)
    return body.items
      .filter((event: { type: string }) => event.type === type)
      .map(({ data }: { data: unknown }) => data)
  }
  const app = (Identifier: string, ShortVersion: string) => ({ Identifier, ShortVersion, Name: Identifier })
  const KINDS = [
    'DeviceInformation',
    'SecurityInfo',
    'InstalledApplicationList',
    'ManagedApplicationList',
    'ProfileList',
    'CertificateList',
    'Restrictions',
  ]

  test('is asked for after enrolment, what the device is first, and goes into tables', async () => {
    const device = await world.enrolled()
    await asked(device)
    const types = await answerAll(device, {
      DeviceInformation: {
        QueryResponses: {
          DeviceName: 'iPhone',
          OSVersion: '17.0',
          ServiceSubscriptions: [{ IMEI: '35 111' }, { IMEI: '35 222', PhoneNumber: '+41 79 111 22 33' }],
        },
      },
      SecurityInfo: { SecurityInfo: { PasscodePresent: true, HardwareEncryptionCaps: 3 } },
      InstalledApplicationList: { InstalledApplicationList: [app('ch.a', '1.0'), app('ch.b', '1.0')] },
      ManagedApplicationList: {
        ManagedApplicationList: { 'ch.a': { Status: 'Managed' }, 'ch.c': { Status: 'Prompting' } },
      },
      ProfileList: { ProfileList: [{ PayloadIdentifier: 'ch.p', PayloadUUID: 'A', IsManaged: true }] },
    })
    expect(types).toEqual(KINDS)
    expect(await profiles(device)).toMatchObject([{ identifier: 'ch.p', uuid: 'A', is_managed: true }])
    expect(await apps(device)).toMatchObject([
      { identifier: 'ch.a', is_installed: true, managed_status: 'Managed', short_version: '1.0' },
      { identifier: 'ch.b', is_installed: true, managed_status: null },
      { identifier: 'ch.c', is_installed: false, managed_status: 'Prompting' },
    ])
    const details = await database()
      .kysely.selectFrom('device_details')
      .selectAll()
      .where('enrollment_id', '=', idOf(device))
      .executeTakeFirstOrThrow()
    expect(details).toMatchObject({ passcode_present: true, hardware_encryption: 3, carrier: null })
    expect(details.search_terms).toEqual(['35111', '35222', '+41791112233'])
    const [first] = await events(device, 'device.facts_changed')
    expect(first).toMatchObject({ changed: expect.arrayContaining(['device_name', 'os_version', 'imei']) })
    expect(await events(device, 'device.app_changed')).toEqual([])
    expect((await events(device, 'inventory.received')).map((each: { kind: string }) => each.kind)).toEqual(
      expect.arrayContaining(['profiles', 'installed_applications', 'managed_applications', 'security_info']),
    )
  })

  test('is asked for again within a day, what has changed is told, and what is unanswered is not asked twice', async () => {
    const device = await world.enrolled()
    await asked(device)
    const before = {
      DeviceInformation: { QueryResponses: { DeviceName: 'iPhone', OSVersion: '17.0', BatteryLevel: 0.5 } },
      InstalledApplicationList: { InstalledApplicationList: [app('ch.a', '1.0'), app('ch.b', '1.0')] },
      ManagedApplicationList: { ManagedApplicationList: { 'ch.a': { Status: 'Managed' } } },
      ProfileList: { ProfileList: [{ PayloadIdentifier: 'ch.p', PayloadUUID: 'A' }] },
    }
    await answerAll(device, before)
    const count = (await events(device, 'device.facts_changed')).length

    await world.pass(25 * HOUR)
    await asked(device)
    const waiting = (await pending(device)).rows
    expect(waiting.map(({ request_type: type }) => type)).toEqual(KINDS)
    expect(new Set(waiting.map(({ priority }) => priority))).toEqual(new Set([-1]))
    await world.pass(27 * HOUR)
    await world.pass(60_000)
    expect((await pending(device)).rows).toEqual(waiting)

    await answerAll(device, {
      ...before,
      DeviceInformation: { QueryResponses: { DeviceName: 'Mine', OSVersion: '17.1', BatteryLevel: 0.4 } },
      InstalledApplicationList: { InstalledApplicationList: [app('ch.a', '1.1'), app('ch.d', '2')] },
      ProfileList: { ProfileList: [] },
    })
    expect(await profiles(device)).toEqual([])
    expect((await apps(device)).map(({ identifier }) => identifier)).toEqual(['ch.a', 'ch.d'])
    expect(await events(device, 'device.name_changed')).toEqual([{ from: 'iPhone', to: 'Mine' }])
    expect(await events(device, 'device.os_updated')).toEqual([{ from: '17.0', to: '17.1' }])
    expect((await events(device, 'device.facts_changed')).slice(count)).toEqual([
      { changed: ['device_name', 'os_version'] },
    ])
    expect(await events(device, 'device.app_changed')).toEqual([
      {
        added: [{ identifier: 'ch.d', name: 'ch.d', version: '2' }],
        removed: [{ identifier: 'ch.b', name: 'ch.b', version: '1.0' }],
        updated: [{ identifier: 'ch.a', name: 'ch.a', from: '1.0', to: '1.1' }],
        added_count: 1,
        removed_count: 1,
        updated_count: 1,
      },
    ])
  })

  test('what was answered is not asked again before that is taken in: a device tells some things only once', async () => {
    const device = await world.enrolled()
    await asked(device)
    const told = {
      ManagedApplicationList: { ManagedApplicationList: { 'ch.a': { Status: 'UserRejected' } } },
    }
    expect(await answer(device, told)).toContain('ManagedApplicationList')
    const refresh = () => world.api('POST', `/devices/${idOf(device)}/refresh`)
    await refresh()
    expect(await answer(device)).not.toContain('ManagedApplicationList')
    await takenIn()
    expect(await apps(device)).toMatchObject([{ identifier: 'ch.a', managed_status: 'UserRejected' }])
    await refresh()
    expect(await answerAll(device)).toContain('ManagedApplicationList')
  })

  test('a list that an operator narrowed down takes nothing away', async () => {
    const device = await world.enrolled()
    await asked(device)
    await answerAll(device, {
      InstalledApplicationList: { InstalledApplicationList: [app('ch.a', '1.0'), app('ch.b', '1.0')] },
    })
    const queue = (command: object) =>
      world.api('POST', '/commands', {
        request_type: 'InstalledApplicationList',
        command,
        device_ids: [idOf(device)],
      })
    const told = { InstalledApplicationList: { InstalledApplicationList: [app('ch.a', '1.1')] } }
    await queue({ Identifiers: ['ch.a'] })
    await answerAll(device, told)
    expect((await apps(device)).map((each) => each.short_version)).toEqual(['1.1', '1.0'])
    await queue({})
    await answerAll(device, told)
    expect((await apps(device)).map((each) => each.identifier)).toEqual(['ch.a'])
  })

  test('of an earlier enrollment is forgotten', async () => {
    const device = await world.enrolled()
    await asked(device)
    const told = { ProfileList: { ProfileList: [{ PayloadIdentifier: 'ch.old' }] } }
    await answerAll(device, told)
    expect(await profiles(device)).toHaveLength(1)
    await world.api('POST', `/devices/${idOf(device)}/allow-re-enrollment`)
    expect(await device.enroll({ url: await world.link() })).toMatchObject({ enrolled: true })
    await asked(device)
    expect(await profiles(device)).toEqual([])
  })

  test('of a device in lost mode is only whether it still is, and all of it by itself when it is not', async () => {
    const device = await world.enrolled()
    await asked(device)
    const lost = (IsMDMLostModeEnabled: boolean) => ({
      DeviceInformation: { QueryResponses: { IsMDMLostModeEnabled } },
    })
    await answerAll(device, lost(true))
    const since = async () =>
      (
        await database()
          .kysely.selectFrom('enrollments')
          .select('lost_mode_since')
          .where('id', '=', idOf(device))
          .executeTakeFirstOrThrow()
      ).lost_mode_since
    expect(await since()).not.toBeNull()
    await world.pass(27 * HOUR)
    await expect
      .poll(async () => {
        await world.pass(60_000)
        return (await pending(device)).rows.map(({ request_type: type }) => type)
      })
      .toEqual(['DeviceInformation'])
    await answerAll(device, lost(false))
    expect(await since()).toBeNull()
    await world.pass(31 * 60_000)
    await asked(device)
  })

  test('is searched, and shown with the device', async () => {
    const device = await world.enrolled()
    await asked(device)
    await answerAll(device, {
      DeviceInformation: {
        QueryResponses: {
          BatteryLevel: 0.5,
          WiFiMAC: 'F0:D1:77:00:00:01',
          ServiceSubscriptions: [{ IMEI: '35 777 1' }, { IMEI: '35 777 2', PhoneNumber: '+41 77 123' }],
        },
      },
      SecurityInfo: { SecurityInfo: { PasscodePresent: false } },
      InstalledApplicationList: { InstalledApplicationList: [app('ch.only', '1.0')] },
      ProfileList: { ProfileList: [{ PayloadIdentifier: 'ch.only.profile' }] },
      Restrictions: { GlobalRestrictions: { restrictedBool: {} } },
    })
    const found = async (query: string) => {
      const { status, body } = await world.api('GET', `/devices?${query}`)
      expect(status).toBe(200)
      return body.items.map(({ id }: { id: string }) => id)
    }
    const id = idOf(device)
    for (const query of [
      'identifier=357772',
      'identifier=35%20777%202',
      'identifier=%2B4177123',
      'identifier=f0-d1-77-00-00-01',
      'search=357771',
      'app=ch.only',
      'profile=ch.only.profile',
      'passcode_present=false&app=ch.only',
    ])
      expect(await found(query), query).toEqual([id])
    for (const query of [
      'identifier=35777',
      'app=ch.onl',
      'passcode_present=true&app=ch.only',
      'lost_mode=true&app=ch.only',
    ])
      expect(await found(query), query).toEqual([])
    const { body } = await world.api('GET', `/devices/${id}`)
    expect(body).toMatchObject({
      lost_mode: { on: false, since: null },
      facts: { battery_level: 0.5, passcode_present: false, imeis: ['35 777 1', '35 777 2'] },
      inventory: { restrictions: { answers: { GlobalRestrictions: { restrictedBool: {} } } } },
    })
  })
})
