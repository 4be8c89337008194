import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine, openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { checkIn, halfEnrolled } from '../support/half-enrolled.ts'

const HOUR = 3_600_000

/** The newest attempt of a device. */
const attemptOf = async (world: TestApp, device: Device) =>
  (await world.api('GET', `/enrollment-attempts?serial_number=${device.facts.serialNumber}`)).body.items[0]

const user = async (world: TestApp, user_name: string, device_limit: number | null) =>
  (await world.api('POST', '/users', { user_name, device_limit })).body as { id: string }

describe('two servers on one PostgreSQL', () => {
  let database: TestDatabase
  let worlds: readonly [TestApp, TestApp]
  beforeAll(async () => {
    database = await testDatabase('postgres')
    const one = await startTestApp({ db: await openAgain(database) })
    worlds = [one, await startTestApp({ db: await openAgain(database), apns: one.apns, clock: one.clock })]
  })
  afterAll(async () => {
    for (const world of worlds.toReversed()) await world.close()
    await database.close()
  })

  /** Enrols so many devices at once, every other one at the second server. */
  async function enrollAtOnce(count: number, url: string): Promise<{ device: Device; in: boolean }[]> {
    return Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const world = worlds[index % 2]!
        const device = world.device()
        const outcome = await device.enroll({ url: url.replace(worlds[0].url, world.url) })
        return { device, in: outcome.enrolled }
      }),
    )
  }

  test('exactly as many devices enrol through a link as it has uses', async () => {
    const { body: link } = await worlds[0].api('POST', '/enrollment-links', { uses: 7 })
    const all = await enrollAtOnce(20, viaServer(link.url))
    expect(all.filter((each) => each.in)).toHaveLength(7)
    const shown = (await worlds[1].api('GET', `/enrollment-links/${link.id}`)).body
    expect(shown).toMatchObject({ uses: 7, used: 7 })
    const refused = all.filter((each) => !each.in)
    const attempts = (await worlds[0].api('GET', '/enrollment-attempts?reason=link_used_up&limit=1000')).body
      .items
    // Some came so late that they got no profile, and began none.
    expect(attempts.length).toBeLessThanOrEqual(refused.length)
    for (const attempt of attempts) expect(attempt).toMatchObject({ outcome: 'rejected', way: 'link' })
  })

  test('a device limit of 5 lets exactly 5 of 20 in', async () => {
    const { id } = await user(worlds[0], 'ada', 5)
    const { body: link } = await worlds[0].api('POST', '/enrollment-links', { uses: 100, user_name: 'ada' })
    const all = await enrollAtOnce(20, viaServer(link.url))
    expect(all.filter((each) => each.in)).toHaveLength(5)
    expect((await worlds[1].api('GET', '/devices?user_name=ADA&state=enrolled')).body.items).toHaveLength(5)
    // Those who were refused took no use.
    expect((await worlds[0].api('GET', `/enrollment-links/${link.id}`)).body.used).toBe(5)
    const { device } = all.find((each) => !each.in)!
    expect(await attemptOf(worlds[0], device)).toMatchObject({
      outcome: 'rejected',
      reason: 'device_limit_exceeded',
      user_name: 'ada',
      timeline: expect.arrayContaining([
        expect.objectContaining({ step: 'device_limit', outcome: 'refused', detail: { count: 5, limit: 5 } }),
      ]),
    })
    expect((await worlds[0].api('GET', `/devices/${device.facts.udid}`)).status).toBe(404)
    expect(id).toBeTypeOf('string')
  })

  test('a link that is revoked at one server lets nobody in at the other', async () => {
    const { body: link } = await worlds[0].api('POST', '/enrollment-links', { uses: 5 })
    const late = await halfEnrolled(worlds[1], 'certificate', viaServer(link.url, worlds[1]))
    await worlds[0].api('DELETE', `/enrollment-links/${link.id}`)
    const keys = { MessageType: 'Authenticate', SerialNumber: late.facts.serialNumber }
    expect((await checkIn(worlds[1], late, keys)).status).toBe(403)
    expect((await attemptOf(worlds[0], late)).reason).toBe('link_revoked')
    expect((await fetch(viaServer(link.url, worlds[1]))).status).toBe(403)
  })

  /** Links name the public address, which these servers do not listen on. */
  function viaServer(url: string, world: TestApp = worlds[0]): string {
    return world.url + new URL(url).pathname
  }
})

describeEachEngine('links and limits', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const link = async (fields: Record<string, unknown>) =>
    (await world.api('POST', '/enrollment-links', fields)).body as { id: string; url: string }
  const used = async (id: string) => (await world.api('GET', `/enrollment-links/${id}`)).body.used as number
  const authenticate = (device: Device) =>
    checkIn(world, device, { MessageType: 'Authenticate', SerialNumber: device.facts.serialNumber })

  test('a link is judged when it is fetched and again when the device authenticates', async () => {
    const later = () => new Date(world.clock.now().getTime() + HOUR / 2).toISOString()
    const expiring = await link({ uses: 5, expires_at: later() })
    const usedUp = await link({ uses: 1, expires_at: later() })
    const revoked = await link({ uses: 5 })
    const [first, second, third] = [
      await halfEnrolled(world, 'certificate', expiring.url),
      await halfEnrolled(world, 'certificate', usedUp.url),
      await halfEnrolled(world, 'certificate', revoked.url),
    ]
    expect((await world.device().enroll({ url: usedUp.url })).enrolled).toBe(true)
    await world.api('DELETE', `/enrollment-links/${revoked.id}`)
    world.clock.advance(HOUR * 0.6)
    for (const [device, { id, url }, reason] of [
      [first, expiring, 'link_expired'],
      // What is over in two ways is told by its end.
      [second, usedUp, 'link_expired'],
      [third, revoked, 'link_revoked'],
    ] as const) {
      const before = await used(id)
      expect((await authenticate(device)).status).toBe(403)
      expect(await attemptOf(world, device)).toMatchObject({ outcome: 'rejected', reason })
      expect(await used(id)).toBe(before)
      world.clock.advance(1)
      const fetched = await fetch(url)
      expect([fetched.status, await fetched.text()]).toEqual([403, ''])
      expect(world.logText()).toContain(`"link_id":"${id}"`)
    }
  })

  test('fetching takes no use, and a device that repeats itself takes one', async () => {
    const { id, url } = await link({ uses: 3 })
    for (let count = 0; count < 5; count++) expect((await fetch(url)).status).toBe(200)
    expect(await used(id)).toBe(0)
    const device = await halfEnrolled(world, 'authenticate', url)
    await authenticate(device)
    await authenticate(device)
    expect(await used(id)).toBe(1)
  })

  test('the same device again takes no second place; CheckOut, removal and deletion each free one', async () => {
    await user(world, 'grace', 1)
    const { url } = await link({ uses: 100, user_name: 'grace' })
    const first = world.device()
    expect((await first.enroll({ url })).enrolled).toBe(true)
    expect((await first.enroll({ url })).enrolled).toBe(true)
    const isRefused = async () => {
      const outcome = await world.device().enroll({ url })
      expect(outcome).toMatchObject({ enrolled: false, step: 'authenticate' })
    }
    await isRefused()
    await first.checkOut()

    const second = world.device()
    expect((await second.enroll({ url })).enrolled).toBe(true)
    await isRefused()
    await world.introduced(second)
    await world.api('POST', `/devices/${second.facts.udid}/unenroll`)
    await isRefused()
    expect((await second.poll()).end).toBe('removed')

    const third = world.device()
    expect((await third.enroll({ url })).enrolled).toBe(true)
    await isRefused()
    expect((await world.api('DELETE', `/devices/${third.facts.udid}?force=true`)).status).toBe(204)
    expect((await world.device().enroll({ url })).enrolled).toBe(true)
    await isRefused()
  })

  test('a half-enrolled device holds its place for an hour, and no longer', async () => {
    await user(world, 'alan', 1)
    const { url } = await link({ uses: 100, user_name: 'alan' })
    await halfEnrolled(world, 'authenticate', url)
    expect((await world.device().enroll({ url })).enrolled).toBe(false)
    await expect
      .poll(async () => {
        await world.pass(HOUR / 2)
        return (await world.device().enroll({ url })).enrolled
      })
      .toBe(true)
  })

  test('a limit of 0 and a disabled user let nobody in, no limit lets everybody in', async () => {
    const { id } = await user(world, 'nobody', 0)
    const { url } = await link({ uses: 100, user_name: 'nobody' })
    expect((await world.device().enroll({ url })).enrolled).toBe(false)
    await world.api('PATCH', '/settings', { default_device_limit: null })
    await world.api('PATCH', `/users/${id}`, { device_limit: null })
    for (let count = 0; count < 2; count++) expect((await world.device().enroll({ url })).enrolled).toBe(true)
    const waiting = await halfEnrolled(world, 'certificate', url)
    await world.api('PATCH', `/users/${id}`, { disabled: true })
    expect((await authenticate(waiting)).status).toBe(403)
    expect((await attemptOf(world, waiting)).reason).toBe('user_disabled')
    expect(await world.device().enroll({ url })).toMatchObject({ enrolled: false, step: 'profile' })
  })

  test('an attempt tells each step of the way, and one that goes nowhere becomes abandoned', async () => {
    const enrolled = await world.enrolled()
    const whole = await attemptOf(world, enrolled)
    expect(whole).toMatchObject({ outcome: 'enrolled', reason: null, enrollment_id: enrolled.facts.udid })
    expect(whole.timeline.map((each: { step: string }) => each.step)).toEqual([
      'certificate',
      'authenticate',
      'token_update',
    ])

    const { id, url } = await link({ uses: 1 })
    await halfEnrolled(world, 'certificate', url)
    const opened = async () =>
      (await world.api('GET', '/enrollment-attempts?limit=1000')).body.items.find(
        (each: { link_id: string }) => each.link_id === id,
      )
    expect((await opened()).outcome).toBe('in_progress')
    world.clock.advance(HOUR)
    await expect
      .poll(async () => {
        await world.pass(15_000)
        return opened()
      })
      .toMatchObject({
        outcome: 'expired',
        reason: 'abandoned',
        timeline: [
          { step: 'certificate', outcome: 'passed' },
          { step: 'authenticate', outcome: 'refused', reason: 'abandoned' },
        ],
      })
    expect(world.logText().includes('"event":"enrollment.abandoned"')).toBe(true)
  })
})
