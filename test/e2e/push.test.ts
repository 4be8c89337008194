import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device, MoodOptions } from '../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { checkIn, halfEnrolled, TOKEN_UPDATE } from '../support/half-enrolled.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

describeEachEngine('pushes', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const tokenOf = (device: Device) => device.channels()[0].push!.token.toString('hex')
  const pushesTo = (token: string) => world.apns.pushes.filter((push) => push.token === token)
  const accepted = (token: string) => pushesTo(token).filter(({ status }) => status === 200).length
  const send = async (device: Device, fields: Record<string, unknown> = {}) => {
    const body = { request_type: 'DeviceLock', device_ids: [device.facts.udid], ...fields }
    return (await world.api('POST', '/commands', body)).body.uuid as string
  }
  const stateOf = async (uuid: string) =>
    (await world.api('GET', `/commands/${uuid}`)).body.deliveries[0].state
  const needOf = (device: Device) =>
    database()
      .kysely.selectFrom('push_needs')
      .selectAll()
      .where('enrollment_id', '=', device.facts.udid)
      .executeTakeFirst()

  /** Enrolled, and with nothing left to do. */
  async function quietDevice(mood?: MoodOptions): Promise<Device> {
    const device = await world.enrolled(mood && { mood })
    await world.introduced(device)
    return device
  }

  /** Lets time pass in steps; each ends when what fell due in it has been sent. */
  async function pass(ms: number, step = ms / 3): Promise<void> {
    await settled()
    for (let left = ms; left > 0; left -= step) {
      await world.pass(Math.min(step, left))
      await settled()
    }
  }

  /**
   * Waits until no push is due that was not sent, nor is to be asked for, moving time hardly at all: a handshake must not run
   * out of it.
   */
  async function settled(): Promise<void> {
    const unsent = () =>
      database()
        .kysely.selectFrom('push_needs')
        .select('enrollment_id')
        .where('pushed_at', 'is', null)
        .where('due_at', '<=', world.clock.now())
        .execute()
    const unasked = () =>
      database()
        .kysely.selectFrom('pending_deliveries')
        .select('enrollment_id')
        .where('push_at', '<=', world.clock.now())
        .execute()
    await expect
      .poll(
        async () => {
          await world.pass((await unasked()).length > 0 ? 500 : 20)
          return (await unsent()).length + (await unasked()).length
        },
        { interval: 5 },
      )
      .toBe(0)
  }

  /** Waits until the jobs have brought it to this many, for at most some seconds of the server's time. */
  async function reaches(count: () => number, wanted: number): Promise<void> {
    await expect
      .poll(
        async () => {
          await pass(500)
          return count()
        },
        { interval: 10 },
      )
      .toBe(wanted)
  }

  test('a command is pushed for once, and the poll that it brings meets the need', async () => {
    const device = await quietDevice()
    await settled()
    const before = accepted(tokenOf(device))
    const uuid = await send(device)
    await reaches(() => accepted(tokenOf(device)) - before, 1)
    world.clock.advance(3 * SECOND)
    await device.poll()
    expect(await stateOf(uuid)).toBe('acknowledged')
    await expect.poll(() => needOf(device)).toBeUndefined()
    const metrics = await (await fetch(`${world.url}/metrics`)).text()
    expect(metrics).toMatch(/^firstboot_push_to_contact_seconds_count [1-9]/m)
    expect(metrics).toMatch(/^firstboot_pushes_total\{result="accepted"\} [1-9]/m)
    await pass(2 * HOUR)
    expect(accepted(tokenOf(device)) - before).toBe(1)
  })

  test('what is not answered is pushed for again after 5 minutes, 30 minutes and 4 hours, then daily', async () => {
    const device = await quietDevice()
    const before = accepted(tokenOf(device))
    await send(device)
    const count = () => accepted(tokenOf(device)) - before
    await reaches(count, 1)
    await pass(4 * MINUTE)
    expect(count()).toBe(1)
    await pass(MINUTE)
    await reaches(count, 2)
    await pass(32 * MINUTE)
    await reaches(count, 3)
    await pass(4.2 * HOUR)
    await reaches(count, 4)
    await pass(24.5 * HOUR)
    await reaches(count, 5)
    await device.poll()
    await pass(25 * HOUR)
    expect(count()).toBe(5)
  })

  test('NotNow is pushed for after 15 minutes, an hour, 6 hours, and daily', async () => {
    const device = await quietDevice({
      script: { ProfileList: ['NotNow', 'NotNow', 'NotNow', 'NotNow', 'NotNow'] },
    })
    await send(device, { request_type: 'ProfileList' })
    await pass(30 * SECOND)
    let before = accepted(tokenOf(device))
    const count = () => accepted(tokenOf(device)) - before
    for (const [less, more] of [
      [14 * MINUTE, 2 * MINUTE],
      [58 * MINUTE, 3 * MINUTE],
      [5.9 * HOUR, 0.2 * HOUR],
      [23.9 * HOUR, 0.2 * HOUR],
      [23.9 * HOUR, 0.2 * HOUR],
    ] as const) {
      await device.poll()
      before = accepted(tokenOf(device))
      await pass(less)
      expect(count()).toBe(0)
      await pass(more)
      await reaches(count, 1)
    }
    await device.poll()
    expect(device.results().at(-1)).toMatchObject({ status: 'Acknowledged', times: 6 })
    expect(device.violations()).toEqual([])
  })

  test('a token that Apple has given up is not pushed to until the next TokenUpdate, which pushes at once', async () => {
    const device = await quietDevice()
    const old = tokenOf(device)
    world.apns.script(old, {
      status: 410,
      reason: 'Unregistered',
      timestamp: world.clock.now().getTime() + 1_000,
    })
    await send(device)
    await pass(10 * SECOND)
    expect((await world.api('GET', `/devices/${device.facts.udid}`)).body.push).toMatchObject({
      state: 'gone',
      reason: 'Unregistered',
    })
    const count = pushesTo(old).length
    await send(device)
    await world.api('POST', `/devices/${device.facts.udid}/push`)
    await pass(25 * HOUR)
    expect(pushesTo(old)).toHaveLength(count)
    await device.updateToken()
    await reaches(() => accepted(tokenOf(device)), 1)
    expect((await world.api('GET', `/devices/${device.facts.udid}`)).body.push.state).toBe('ok')
    expect((await device.poll()).results.Acknowledged).toBe(2)
  })

  test('nothing is pushed before the first TokenUpdate, and the first one pushes', async () => {
    const device = await halfEnrolled(world, 'authenticate')
    const pushes = world.apns.pushes.length
    await send(device)
    await world.api('POST', `/devices/${device.facts.udid}/push`)
    await pass(MINUTE)
    expect(world.apns.pushes.length).toBe(pushes)
    expect((await world.api('GET', `/devices/${device.facts.udid}`)).body.push.state).toBe(
      'waiting_for_token',
    )
    await checkIn(world, device, { ...TOKEN_UPDATE, Token: Buffer.alloc(32, 0x5a) })
    const count = () => accepted('5a'.repeat(32))
    await reaches(count, 1)
    // The device may not have been reachable yet: one more follows a minute later.
    await pass(60 * SECOND)
    await reaches(count, 2)
  })

  test('nothing is pushed after CheckOut, nor to a token of an enrollment that was begun anew', async () => {
    const gone = await quietDevice()
    const goneToken = tokenOf(gone)
    const uuid = await send(gone)
    await settled()
    await gone.checkOut()
    const count = pushesTo(goneToken).length
    expect(await stateOf(uuid)).toBe('cancelled')
    await world.api('POST', `/devices/${gone.facts.udid}/push`)
    await pass(25 * HOUR)
    expect(pushesTo(goneToken)).toHaveLength(count)

    const again = await quietDevice()
    const old = tokenOf(again)
    await again.enroll({ url: await world.link() })
    const before = pushesTo(old).length
    await send(again)
    await pass(MINUTE)
    expect(pushesTo(old)).toHaveLength(before)
    expect(pushesTo(goneToken)).toHaveLength(count)
    expect(again.violations()).toEqual([])
  })

  test('Apple never saw a push that it would have refused for its form', () => {
    expect(world.apns.violations).toEqual([])
  })
})
