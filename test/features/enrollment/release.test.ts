import { afterAll, beforeAll, expect, test } from 'vitest'
import { TOPIC } from '../../support/app.ts'
import { startAdeApp, type AdeApp } from '../../support/ade-app.ts'
import { describeEachEngine } from '../../support/database.ts'
import { checkIn, TOKEN_UPDATE } from '../../support/half-enrolled.ts'

const MINUTE = 60_000

describeEachEngine('release from Setup Assistant', (database) => {
  let world: AdeApp
  let waiting: string
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
    waiting = await world.policy({
      ade: { await_device_configured: true, configuration_deadline_minutes: 5 },
    })
  })
  afterAll(() => world.close())

  const device = async (udid: string) => (await world.api('GET', `/devices/${udid}`)).body
  const owed = (udid: string) =>
    database()
      .kysely.selectFrom('setup_releases')
      .selectAll()
      .where('enrollment_id', '=', udid)
      .executeTakeFirst()
  const awaiting = async (udid: string) =>
    (
      await database()
        .kysely.selectFrom('enrollments')
        .select('awaiting_configuration')
        .where('id', '=', udid)
        .executeTakeFirstOrThrow()
    ).awaiting_configuration

  test('when the first commands are done, DeviceConfigured follows by itself', async () => {
    const phone = await world.phone(waiting)
    const end = phone.powerOn()
    let isDone = false
    void end.then(() => (isDone = true))
    await world.until(async () => isDone, 200)
    expect(await end).toMatchObject({ outcome: 'enrolled', awaitedConfiguration: true })
    await world.until(async () => !(await awaiting(phone.facts.udid)), 500)
    const attempt = await world.attemptOf(phone)
    expect(attempt.timeline.at(-1)).toMatchObject({
      step: 'configured',
      outcome: 'passed',
      detail: { released_by: 'commands_done' },
    })
    const types = phone.device.results().map(({ requestType }) => requestType)
    // What else is asked of it, such as the code of its Activation Lock, may come before or after.
    expect(types).toContain('DeviceInformation')
    expect(types.indexOf('DeviceConfigured')).toBeGreaterThan(types.indexOf('DeviceInformation'))
    expect((await world.eventsOf(attempt.id)).map(({ type }) => type)).toContain('device.configured')
    expect(phone.violations()).toEqual([])
    expect(await device(phone.facts.udid)).toMatchObject({ state: 'enrolled' })
  })

  test('at the deadline it goes on without them, and the timeline says so', async () => {
    const phone = await world.phone(waiting, {
      // However far the clock is moved until the server has done its work.
      configurationPatienceMs: 600 * MINUTE,
      mood: { script: { DeviceInformation: Array.from({ length: 1_000 }, () => 'NotNow' as const) } },
    })
    const end = phone.powerOn()
    let isDone = false
    void end.then(() => (isDone = true))
    await world.until(async () => (await owed(phone.facts.udid)) !== undefined, 100)
    await phone.poll()
    expect(await owed(phone.facts.udid)).toMatchObject({ configured_uuid: null, released_at: null })
    const start = world.clock.now().getTime()
    await world.until(async () => (await owed(phone.facts.udid))?.configured_uuid !== null, 10_000)
    expect(world.clock.now().getTime() - start).toBeGreaterThan(4 * MINUTE)
    await world.until(async () => {
      if (!isDone) await phone.poll()
      return isDone
    }, 5_000)
    expect(await end).toMatchObject({ outcome: 'enrolled' })
    await world.until(async () => !(await awaiting(phone.facts.udid)), 1_000)
    expect(await owed(phone.facts.udid)).toMatchObject({ reason: 'deadline' })
    const { timeline } = await world.attemptOf(phone)
    const [release, configured] = ['release', 'configured'].map((name) =>
      timeline.find(({ step }) => step === name),
    )
    const waited_for = expect.arrayContaining(['first_commands']) as string[]
    expect(release).toMatchObject({
      outcome: 'passed',
      detail: { released_by: 'deadline', waited_for, missing: [] },
    })
    expect(configured).toMatchObject({ detail: { released_by: 'deadline' } })
  })

  test('an error to DeviceConfigured ends it too: the device does not wait', async () => {
    const phone = await world.phone(waiting, { mood: { script: { DeviceConfigured: ['Error'] } } })
    void phone.powerOn()
    await world.until(async () => (await owed(phone.facts.udid))?.released_at instanceof Date, 200)
    expect(await awaiting(phone.facts.udid)).toBe(false)
    const attempt = await world.attemptOf(phone)
    expect(attempt.timeline.at(-1)).toMatchObject({
      ...{ step: 'configured', outcome: 'refused' },
      detail: { answer: 'error', error_chain: [expect.anything()] },
    })
    const told = (await world.eventsOf(attempt.id)).find(({ type }) => type === 'device.configured')
    expect(told?.data).toMatchObject({ answer: 'error', missing: [] })
  })

  test('one that says later that it waits, of a policy that does not hold it or none, is let go at once', async () => {
    const direct = await world.enrolled({ awaitConfiguration: true })
    const { udid } = direct.facts
    const isFree = async () => {
      await direct.poll()
      return !(await awaiting(udid))
    }
    await world.until(isFree, 200)
    const first = await owed(udid)
    expect(first).toMatchObject({ reason: 'policy', tries: 1 })
    world.clock.advance(MINUTE)
    const said = { ...TOKEN_UPDATE, Topic: TOPIC, AwaitingConfiguration: true }
    expect((await checkIn(world, direct, said)).status).toBe(200)
    expect(await owed(udid)).toMatchObject({ released_at: null, created_at: first?.created_at })
    expect(await awaiting(udid)).toBe(true)
    await world.until(isFree, 200)
    const types = direct.results().map(({ requestType }) => requestType)
    expect(types.filter((type) => type === 'DeviceConfigured')).toHaveLength(2)
  })

  test('a DeviceConfigured that an operator cancels is queued again', async () => {
    const direct = await world.enrolled({ awaitConfiguration: true })
    const { udid } = direct.facts
    await world.until(async () => ((await owed(udid))?.configured_uuid ?? null) !== null, 200)
    const uuid = (await owed(udid))?.configured_uuid
    expect((await world.api('DELETE', `/commands/${uuid}`)).status).toBeLessThan(300)
    await world.until(async () => (await owed(udid))?.configured_uuid !== uuid, 200)
    await world.until(async () => {
      await direct.poll()
      return !(await awaiting(udid))
    }, 200)
    expect(await owed(udid)).toMatchObject({ tries: 2 })
  })

  test('one that says Authenticate again and then that it waits begins anew, under the certificate that it has', async () => {
    const direct = await world.enrolled({ awaitConfiguration: true })
    const { udid } = direct.facts
    await world.until(async () => {
      await direct.poll()
      return (await owed(udid))?.released_at instanceof Date
    }, 200)
    const first = await owed(udid)
    const queued = await world.api('POST', '/commands', {
      device_ids: [udid],
      request_type: 'DeviceInformation',
      command: { Queries: ['UDID'] },
    })
    expect(queued.status).toBe(202)
    const { facts } = direct
    const again = { MessageType: 'Authenticate', DeviceName: 'iPhone', SerialNumber: facts.serialNumber }
    const said = { ...TOKEN_UPDATE, Topic: TOPIC }
    // A renewal is nothing new, whatever comes later.
    for (const message of [again, said, { ...said, AwaitingConfiguration: true }])
      expect((await checkIn(world, direct, { Topic: TOPIC, ...message })).status).toBe(200)
    expect(await owed(udid)).toMatchObject({ generation: 1, created_at: first?.created_at })
    world.clock.advance(MINUTE)
    for (const message of [again, { ...said, AwaitingConfiguration: true }])
      expect((await checkIn(world, direct, { Topic: TOPIC, ...message })).status).toBe(200)
    const second = await owed(udid)
    expect(second).toMatchObject({ generation: 2, released_at: null, deadline: null })
    expect(second?.created_at.getTime()).toBeGreaterThan(first?.created_at.getTime() ?? 0)
    const command = await world.api('GET', `/commands/${queued.body.uuid}`)
    expect(command.body.deliveries[0].state).toBe('cancelled')
  })

  test('a device that leaves is owed nothing', async () => {
    const direct = await world.enrolled({ awaitConfiguration: true })
    const { udid } = direct.facts
    await world.until(async () => (await owed(udid)) !== undefined, 1_000)
    await direct.checkOut()
    await world.until(async () => (await owed(udid)) === undefined, 1_000)
    expect(await device(udid)).toMatchObject({ state: 'unenrolled' })
  })
})
