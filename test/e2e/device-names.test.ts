import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parsePlist, writePlist, type PlistDict, type WritablePlist } from '../../src/protocol/plist/index.ts'
import { createRandom, inventDevice, type Device } from '../../src/simulator/index.ts'
import { putMessage, startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { identityOf } from '../support/half-enrolled.ts'

describeOnEngine('embedded', 'names that a policy gives to its devices', (database) => {
  let world: TestApp
  let policies = 0
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const idOf = (device: Device) => device.facts.udid
  const policy = async (template: string) => {
    const wanted = { name: `Phones ${policies++}`, device_name_template: template }
    const { status, body } = await world.api('POST', '/enrollment-policies', wanted)
    expect(status).toBe(201)
    return body as { id: string; name: string }
  }
  const enrolled = async (policyId: string) => {
    const device = await world.enrolled()
    await database()
      .kysely.updateTable('enrollments')
      .set({ policy_id: policyId })
      .where('id', '=', idOf(device))
      .execute()
    return device
  }
  const next = async (device: Device, answer: Record<string, WritablePlist>) => {
    const message = Buffer.from(writePlist({ UDID: idOf(device), ...answer }))
    const { body } = await putMessage(`${world.url}/mdm/connect`, message, { signer: identityOf(device) })
    return body.length === 0
      ? undefined
      : (parsePlist(body) as { CommandUUID: string; Command: PlistDict & { RequestType: string } })
  }
  /** Whether all that devices told was taken in, and what follows from it was done. */
  const isQuiet = async () => {
    const { rows } = await sql<{ left: number }>`
      select (select count(*) from event_outbox) + (select count(*) from command_answers)
        + (select count(*) from events e join event_subscriptions s on e.id > s.cursor
          where (s.name = 'enrollment.first_steps' and e.type = 'device.enrolled')
            or (s.name = 'enrollment.names' and e.type in ('inventory.received', 'policy.updated', 'user.updated')))
        as left`.execute(database().kysely)
    return rows[0]?.left === 0
  }
  /** Answers what the device is asked until nothing is to be done; gives the names that it was told. */
  const answers = async (device: Device, name: (told: string[]) => string) => {
    const told: string[] = []
    for (let idle = 0, round = 0; idle < 2 && round < 300; round++) {
      await world.pass(200)
      let command = await next(device, { Status: 'Idle' })
      if (command === undefined && (await isQuiet())) idle++
      while (command !== undefined) {
        idle = 0
        const { RequestType: type, Settings: settings } = command.Command
        if (type === 'Settings') told.push((settings as { DeviceName: string }[])[0]?.DeviceName ?? '')
        const keys: Record<string, WritablePlist> =
          type === 'DeviceInformation'
            ? { QueryResponses: { DeviceName: name(told), IsSupervised: true } }
            : {}
        command = await next(device, { Status: 'Acknowledged', CommandUUID: command.CommandUUID, ...keys })
      }
    }
    return told
  }
  const events = async (device: Device, type: string) => {
    const { body } = await world.api('GET', `/devices/${idOf(device)}/timeline?limit=200`)
    return body.items.filter((event: { type: string }) => event.type === type)
  }
  const ask = (device: Device) =>
    world.api('POST', '/commands', {
      request_type: 'DeviceInformation',
      command: { Queries: ['DeviceName', 'IsSupervised'] },
      device_ids: [idOf(device)],
    })
  const obedient = (told: string[]) => told.at(-1) ?? 'iPhone'

  test('are given at enrolment, kept, and given anew when the policy changes', async () => {
    const { id } = await policy('Sales {{device.serial_number}}')
    const device = await enrolled(id)
    const name = `Sales ${device.facts.serialNumber}`
    expect(await answers(device, obedient)).toEqual([name])
    await ask(device)
    expect(await answers(device, () => name)).toEqual([])
    await ask(device)
    let calls = 0
    expect(await answers(device, (told) => (calls++ === 0 ? 'Mine' : obedient(told)))).toEqual([name])
    await world.api('PATCH', `/enrollment-policies/${id}`, { device_name_template: 'Support' })
    expect(await answers(device, obedient)).toEqual(['Support'])
    expect(await events(device, 'delivery.drifted')).toEqual([])
  })

  test('that a device acknowledges and does not take are told as failed', async () => {
    const device = await world.enrolled({
      facts: { ...inventDevice(createRandom('renamed')), supervised: true },
    })
    await world.introduced(device)
    const renamed = await world.api('POST', `/devices/${idOf(device)}/rename`, { device_name: 'Till' })
    expect(renamed.status).toBe(202)
    const { command_uuid: uuid } = renamed.body as { command_uuid: string }
    const chain = [{ ErrorCode: 29000, ErrorDomain: 'MCChaperoneErrorDomain' }]
    let command = await next(device, { Status: 'Idle' })
    while (command !== undefined) {
      const settings = [{ Item: 'DeviceName', Status: 'Error', ErrorChain: chain }]
      const keys: Record<string, WritablePlist> = command.CommandUUID === uuid ? { Settings: settings } : {}
      command = await next(device, { Status: 'Acknowledged', CommandUUID: command.CommandUUID, ...keys })
    }
    const { body } = await world.api('GET', `/commands/${uuid}`)
    expect(body.deliveries).toMatchObject([{ state: 'error', error_chain: chain }])
    while (!(await isQuiet())) await world.pass(200)
    expect(await events(device, 'command.failed')).toMatchObject([{ data: { command_uuid: uuid } }])
  })

  test('are left after two tries, which is told', async () => {
    const { id } = await policy('Sales')
    const device = await enrolled(id)
    expect(await answers(device, () => 'Mine')).toEqual(['Sales', 'Sales'])
    expect(await events(device, 'delivery.drifted')).toMatchObject([
      { data: { kind: 'device_name', wanted: 'Sales', shown: 'Mine' } },
    ])
    await ask(device)
    expect(await answers(device, () => 'Mine')).toEqual([])
    expect(await events(device, 'delivery.drifted')).toHaveLength(1)
  })

  test('that are too long, or have no value, are not sent, which is told once', async () => {
    const { id } = await policy(`${'é'.repeat(30)} {{device.serial_number}}`)
    const device = await enrolled(id)
    expect(await answers(device, obedient)).toEqual([])
    await ask(device)
    expect(await answers(device, obedient)).toEqual([])
    expect(await events(device, 'device.name_refused')).toMatchObject([{ reason: 'name_too_long' }])
    const other = await policy('{{user.email}}')
    const second = await enrolled(other.id)
    expect(await answers(second, obedient)).toEqual([])
    expect(await events(second, 'device.name_refused')).toMatchObject([
      { reason: 'variable_missing', data: { missing: ['user.email'] } },
    ])
  })

  test.each(['{{device.name}}', 'a {{device.serial}}', '{{secret.PIN}}', '{{user.email', '{{a{{b}}'])(
    'cannot be made of %s',
    async (template) => {
      const { status, body } = await world.api('POST', '/enrollment-policies', {
        name: `Wrong ${policies++}`,
        device_name_template: template,
      })
      expect(status).toBe(422)
      expect(body).toMatchObject({
        code: 'template_invalid',
        errors: [{ pointer: '/device_name_template' }],
      })
    },
  )
})
