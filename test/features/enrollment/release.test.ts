import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAdeApp, type AdeApp } from '../../support/ade-app.ts'
import { describeEachEngine } from '../../support/database.ts'

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
    expect(types.slice(-2)).toEqual(['DeviceInformation', 'DeviceConfigured'])
    expect((await world.eventsOf(attempt.id)).map(({ type }) => type)).toContain('device.configured')
    expect(phone.violations()).toEqual([])
    expect(await device(phone.facts.udid)).toMatchObject({ state: 'enrolled' })
  })

  test('at the deadline it goes on without them; an error is tried again', async () => {
    const phone = await world.phone(waiting, {
      mood: {
        script: {
          DeviceInformation: Array.from({ length: 1_000 }, () => 'NotNow' as const),
          DeviceConfigured: ['Error', 'Error', 'Acknowledged'],
        },
      },
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
    expect(await owed(phone.facts.udid)).toMatchObject({ reason: 'deadline', tries: 2 })
    const attempt = await world.attemptOf(phone)
    expect(attempt.timeline.at(-1)).toMatchObject({ step: 'configured', detail: { released_by: 'deadline' } })
  })

  test('a device without a policy that says it waits is owed it too, also when it says so later', async () => {
    const direct = await world.enrolled({ awaitConfiguration: true })
    const { udid } = direct.facts
    expect(await awaiting(udid)).toBe(true)
    await world.until(async () => {
      await direct.poll()
      return !(await awaiting(udid))
    }, 1_000)
    expect(direct.results().map(({ requestType }) => requestType)).toContain('DeviceConfigured')
    await database()
      .kysely.updateTable('enrollments')
      .set({ awaiting_configuration: true })
      .where('id', '=', udid)
      .execute()
    await world.until(async () => {
      await direct.poll()
      return !(await awaiting(udid))
    }, 1_000)
    const count = direct.results().filter(({ requestType }) => requestType === 'DeviceConfigured').length
    expect(count).toBe(2)
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
