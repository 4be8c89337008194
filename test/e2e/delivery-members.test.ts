import { afterAll, beforeAll, expect, test } from 'vitest'
import { SEALED_FOR } from '../../src/db/sealed-columns.ts'
import { runPolls } from '../../src/db/statements/poll.ts'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import type { Device } from '../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { deliveryWorld } from '../support/delivery-world.ts'
import { checkIn, TOKEN_UPDATE } from '../support/half-enrolled.ts'

describeEachEngine('members of groups that deliver, and what they are given', (database) => {
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = deliveryWorld(world, 'members')
  })
  afterAll(() => world.close())

  test('a member that has left takes the command of the contents from nobody', async () => {
    const [one, left, other] = [await at.member(), await at.member(), await at.member()]
    const groupId = await at.group()
    await at.put(groupId, { kind: 'command', request_type: 'CertificateList', command: {} })
    await world.pass(1_000)
    await world.api('POST', `/devices/${left.facts.udid}/unenroll`)
    const isLeft = async () =>
      (await world.api('GET', `/devices/${left.facts.udid}`)).body.state === 'unenrolled'
    await at.until([left], isLeft)
    await at.join(groupId, one, left, other)
    const given = (device: Device) =>
      device.results().filter(({ requestType }) => requestType === 'CertificateList').length
    const before = [given(one), given(other)].map((count) => count + 1)
    await at.until([one], () => given(one) === before[0])
    await at.until([other], () => given(other) === before[1])
  })

  test('contents are written as they were read: what was hidden stays, and is not known where it is new', async () => {
    const groupId = await at.group()
    const lock = { kind: 'command', request_type: 'DeviceLock', command: { Message: 'm', PIN: '123456' } }
    await at.put(groupId, lock)
    const read = async () => (await world.api('GET', `/groups/${groupId}/contents`)).body.items
    const kept = () =>
      database()
        .kysely.selectFrom('group_contents')
        .select(['id', 'added_at', 'command'])
        .where('group_id', '=', groupId)
        .where('kind', '=', 'command')
        .executeTakeFirstOrThrow()
    const [shown] = await read()
    expect(shown.command).toEqual({ Message: 'm', PIN: '********' })
    const before = await kept()
    await at.put(groupId, shown, at.bring(await at.profile()))
    const after = await kept()
    expect([after.id, after.added_at]).toEqual([before.id, before.added_at])
    const box = createSecretBox({ key: Buffer.alloc(32, 7) })
    const opened = box.open(after.command!, SEALED_FOR.contentsCommand(after.id)).toString('utf8')
    expect(JSON.parse(opened)).toEqual(lock.command)
    const changed = { ...shown, command: { ...shown.command, Message: 'other' } }
    const refused = await world.api('PUT', `/groups/${groupId}/contents`, { items: [changed] })
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'contents_invalid', errors: [{ pointer: '/items/0/command/PIN' }] },
    })
    expect((await kept()).id).toBe(before.id)
  })

  test('a device whose removal was acknowledged has left, also when the process died right after that', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    const { body: group } = await world.api('POST', '/groups', { name: `left ${udid}`, kind: 'static' })
    await world.api('POST', `/groups/${group.id}/members`, { device_ids: [udid] })
    await world.api('POST', `/devices/${udid}/unenroll`)
    const { kysely } = database()
    const waiting = await kysely
      .selectFrom('pending_deliveries as p')
      .innerJoin('commands as c', 'c.uuid', 'p.command_uuid')
      .select('c.uuid')
      .where('p.enrollment_id', '=', udid)
      .where('c.purpose', '=', 'unenroll')
      .executeTakeFirstOrThrow()
    const { fingerprint } = await kysely
      .selectFrom('enrollment_certificates')
      .select('fingerprint')
      .where('enrollment_id', '=', udid)
      .executeTakeFirstOrThrow()
    const of = { enrollmentId: udid, deviceId: udid, fingerprint }
    const nothing = {
      errorChain: null,
      raw: null,
      inventoryKind: null,
      inventory: null,
      facts: null,
      problem: null,
    }
    const answer = { ...of, status: 'Acknowledged' as const, commandUuid: waiting.uuid, ...nothing }
    expect((await runPolls(database(), [answer], world.clock.now()))[0]?.finished_purpose).toBe('unenroll')
    const left = async () => {
      await world.pass(60_000)
      const { items } = (await world.api('GET', `/events?type=device.unenrolled&limit=1000`)).body
      return items.filter(({ enrollment_id: id }: { enrollment_id: string }) => id === udid).length
    }
    await expect.poll(left).toBe(1)
    expect((await world.api('GET', `/groups/${group.id}/members`)).body.items).toEqual([])
    expect(await left()).toBe(1)
  })

  test('a device that was erased and keeps its certificate joins its groups anew', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const { udid } = device.facts
    const { body: group } = await world.api('POST', '/groups', { name: `again ${udid}`, kind: 'static' })
    await world.api('POST', `/groups/${group.id}/members`, { device_ids: [udid] })
    const items = [{ kind: 'command', request_type: 'CertificateList', command: {} }]
    await world.pass(1_000)
    expect((await world.api('PUT', `/groups/${group.id}/contents`, { items })).status).toBe(200)
    const waiting = async () => {
      await world.pass(1_000)
      const { items: all } = (await world.api('GET', `/devices/${udid}/commands`)).body
      return all.filter(({ request_type: type }: { request_type: string }) => type === 'CertificateList')
        .length
    }
    expect(await waiting()).toBe(0)
    await checkIn(world, device, { MessageType: 'Authenticate', SerialNumber: device.facts.serialNumber })
    await checkIn(world, device, { ...TOKEN_UPDATE, AwaitingConfiguration: true })
    await expect.poll(waiting).toBe(1)
    for (let round = 0; round < 3; round++) expect(await waiting()).toBe(1)
  })
})
