import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { putMessage, startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { halfEnrolled, identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'
import { ownerWorld } from '../support/owner-world.ts'

const MINUTE = 60_000
const UNRECOGNIZED = 'com.apple.unrecognized.device'

describeOnEngine('embedded', 'an enrollment has an owner', (database) => {
  let world: TestApp
  let at: ReturnType<typeof ownerWorld>
  let others: string
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = ownerWorld(world, database)
    await at.user('ada')
    await at.user('mallory')
    others = await at.link({ user_name: 'mallory' })
  })
  afterAll(() => world.close())

  const byLink = async (user_name?: string): Promise<Device> => {
    const device = world.device()
    const url = await at.link(user_name === undefined ? {} : { user_name })
    expect((await device.enroll({ url })).enrolled).toBe(true)
    await world.introduced(device)
    return device
  }
  const tokenOf = async (device: Device) =>
    (
      await database()
        .kysely.selectFrom('enrollments')
        .select('push_token')
        .where('id', '=', device.facts.udid)
        .executeTakeFirstOrThrow()
    ).push_token!.toString('hex')
  const pushesTo = (token: string) => world.apns.pushes.filter((push) => push.token === token).length
  const gone = { status: 410, reason: 'Unregistered' }
  const idle = (device: Device) =>
    putMessage(
      `${world.url}/mdm/connect`,
      { Status: 'Idle', UDID: device.facts.udid },
      { signer: identityOf(device) },
    )

  test.each([
    ['a user', 'ada', { user_name: 'mallory' }],
    ['a user, by a link that names nobody', 'ada', {}],
    ['nobody, by a link that names a user', undefined, { user_name: 'mallory' }],
  ])('the device of %s is not taken: 403, told with both sides, untouched', async (_, owner, fields) => {
    const device = await byLink(owner)
    const { udid, serialNumber } = device.facts
    const first = await at.attemptOf(serialNumber)
    const before = await at.state(udid)
    world.clock.advance(1)
    const { device: thief, outcome } = await at.claim(device, await at.link(fields))
    expect(outcome).toMatchObject({
      enrolled: false,
      step: 'authenticate',
      reason: 'the server answered 403',
    })
    expect(await at.state(udid)).toEqual(before)
    const attempt = await at.attemptOf(serialNumber)
    const claimant = 'user_name' in fields ? fields.user_name : null
    expect(attempt).toMatchObject({
      ...{ outcome: 'rejected', reason: 'owned_by_another', enrollment_id: null, user_name: claimant },
      timeline: expect.arrayContaining([
        expect.objectContaining({ step: 'authenticate', outcome: 'refused', reason: 'owned_by_another' }),
      ]),
    })
    expect((await at.events('enrollment.takeover_refused', udid)).map(({ data }) => data)).toEqual([
      {
        owner: { user_name: owner ?? null, way: 'link', attempt_id: first.id },
        claimant: { user_name: claimant, way: 'link', attempt_id: attempt.id },
      },
    ])
    expect(world.logReasons()).toContain('owned_by_another')
    // The certificate is of no use for anything else either.
    for (const MessageType of ['Authenticate', 'TokenUpdate', 'CheckOut', 'GetBootstrapToken'])
      expect((await at.say(thief, { ...TOKEN_UPDATE, MessageType })).status).toBe(403)
    expect((await idle(thief)).status).toBe(403)
    expect(await at.state(udid)).toEqual(before)
    await at.isAlive(device, udid)
  })

  test('a refused attempt takes no use of its link', async () => {
    const device = await byLink('ada')
    const { body: link } = await world.api('POST', '/enrollment-links', { uses: 1, user_name: 'mallory' })
    expect((await at.claim(device, world.url + new URL(link.url).pathname)).enrolled).toBe(false)
    expect((await world.api('GET', `/enrollment-links/${link.id}`)).body.used).toBe(0)
  })

  test('the same user, and nobody for what is nobody’s, take their own device again', async () => {
    for (const name of ['ada', undefined]) {
      const device = await byLink(name)
      const { device: again, enrolled } = await at.claim(
        device,
        await at.link(name === undefined ? {} : { user_name: name }),
      )
      expect(enrolled).toBe(true)
      await at.isAlive(again, device.facts.udid)
      expect(await idle(device)).toMatchObject({ status: 403, body: Buffer.alloc(0) })
    }
    expect(await at.events('enrollment.takeover_refused')).toHaveLength(3 + 1)
  })

  test('once an enrollment has ended anybody may enrol the device', async () => {
    for (const end of [
      (device: Device) => device.checkOut(),
      (device: Device) => world.api('DELETE', `/devices/${device.facts.udid}?force=true`),
    ]) {
      const device = await byLink('ada')
      expect((await at.claim(device, others)).enrolled).toBe(false)
      await end(device)
      expect((await at.claim(device, others)).enrolled).toBe(true)
    }
  })

  test('one without a TokenUpdate is live for an hour from its Authenticate, and no longer', async () => {
    const url = await at.link({ user_name: 'ada', expires_at: null })
    const half = await halfEnrolled(world, 'authenticate', url)
    world.clock.advance(59 * MINUTE)
    expect((await at.claim(half, others)).enrolled).toBe(false)
    // What it repeats does not prolong that.
    const again = { MessageType: 'Authenticate', SerialNumber: half.facts.serialNumber }
    expect((await at.say(half, again)).status).toBe(200)
    world.clock.advance(MINUTE)
    expect((await at.claim(half, others)).enrolled).toBe(true)
  })

  test('an Authenticate of the device itself replaces nothing', async () => {
    const device = await byLink('ada')
    const { udid, serialNumber } = device.facts
    await device.signIn({ UserID: 'USER-1', UserShortName: 'ada' })
    await world.api('POST', '/commands', { request_type: 'DeviceLock', device_ids: [udid] })
    const before = await at.state(udid)
    const message = { MessageType: 'Authenticate', SerialNumber: serialNumber, OSVersion: '99.1' }
    for (let count = 0; count < 2; count++) expect((await at.say(device, message)).status).toBe(200)
    const after = await at.state(udid)
    const counted = { message_digest: null, message_repeats: null, message_bytes: null }
    // That it has said so is noted: one that waits in Setup Assistant next was erased.
    expect(after.enrollments.find(({ id }) => id === udid)?.authenticates_again).toBe(true)
    const told = { os_version: null, authenticates_again: null }
    const known = { updated_at: null, version: null, ...told, ...counted }
    const like = (state: typeof after) => ({
      ...state,
      enrollments: state.enrollments.map((row) => ({ ...row, ...known })),
    })
    expect(like(after)).toEqual(like(before))
    expect((await at.shown(udid)).os_version).toBe('99.1')
    // Other ids of it, which are not the certificate's, are refused.
    expect((await at.say(device, { ...message, UDID: `${udid}0` })).status).toBe(403)
    expect((await at.say(device, { ...message, UDID: undefined, EnrollmentID: udid })).status).toBe(403)
    expect(await at.state(udid)).toEqual(after)
  })

  test('an operator’s word lets one identity in, once, for an hour', async () => {
    const device = await byLink('ada')
    const { udid, serialNumber } = device.facts
    const allow = () => world.api('POST', `/devices/${udid}/allow-re-enrollment`)
    const answer = await allow()
    const until = new Date(world.clock.now().getTime() + 60 * MINUTE).toISOString()
    expect([answer.status, answer.body]).toEqual([202, { allowed_until: until }])
    expect(await at.events('enrollment.re_enrollment_allowed', udid)).toMatchObject([
      { serial_number: serialNumber, by: { kind: 'api_token' }, data: { allowed_until: until } },
    ])
    world.clock.advance(60 * MINUTE)
    expect((await at.claim(device, others)).enrolled).toBe(false)
    await allow()
    world.clock.advance(60 * MINUTE - 1)
    const { device: next, enrolled } = await at.claim(device, others)
    expect(enrolled).toBe(true)
    expect(await at.shown(udid)).toMatchObject({ user_name: 'mallory', state: 'enrolled' })
    expect((await at.claim(device, await at.link({ user_name: 'ada' }))).enrolled).toBe(false)
    await at.isAlive(next, udid)
  })

  test('the word of an operator is for live devices, and for operators to give', async () => {
    const device = await byLink()
    const { channel } = await device.signIn({ UserID: 'USER-9', UserShortName: 'ada' })
    expect(channel).toBeDefined()
    const allow = (id: string, token?: string) =>
      fetch(`${world.url}/api/v1/devices/${encodeURIComponent(id)}/allow-re-enrollment`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      }).then(({ status }) => status)
    const token = async (role: string) =>
      (await world.api('POST', '/api-tokens', { name: role, role })).body.secret as string
    const { udid } = device.facts
    expect(await allow(udid, await token('viewer'))).toBe(403)
    const operator = await token('operator')
    expect(await allow(udid.toLowerCase(), operator)).toBe(202)
    expect(await allow(`${udid}:USER-9`, operator)).toBe(409)
    expect(await allow('nobody', operator)).toBe(404)
    await device.checkOut()
    expect(await allow(udid, operator)).toBe(409)
  })

  test('after 410 Unregistered to the push of a refused attempt the next one passes', async () => {
    const device = await byLink('ada')
    const token = await tokenOf(device)
    const before = pushesTo(token)
    world.apns.script(token, { ...gone, timestamp: world.clock.now().getTime() })
    expect((await at.claim(device, others)).enrolled).toBe(false)
    expect(pushesTo(token)).toBe(before + 1)
    const { device: next, enrolled } = await at.claim(device, others)
    expect(enrolled).toBe(true)
    await at.isAlive(next, device.facts.udid)
    // What Apple said of the one before is not said of this one.
    expect((await at.claim(device, await at.link({ user_name: 'ada' }))).enrolled).toBe(false)
  })

  test('a push that is sent for another reason counts as well, whatever Apple said of it before', async () => {
    const device = await byLink('ada')
    const token = await tokenOf(device)
    world.apns.script(token, gone)
    await world.api('POST', `/devices/${device.facts.udid}/push`)
    await expect
      .poll(async () => {
        world.clock.advance(20)
        return (await at.shown(device.facts.udid)).push.state
      })
      .toBe('gone')
    expect((await at.claim(device, others)).enrolled).toBe(true)
  })

  test('a contact after the push, of the device or a user of it, and Apple’s word counts no more', async () => {
    const device = await byLink('ada')
    const { channel } = await device.signIn({ UserID: 'USER-1', UserShortName: 'ada' })
    const token = await tokenOf(device)
    const contacts = [
      () => device.poll(),
      () => device.poll(channel),
      () => at.say(device, { MessageType: 'GetBootstrapToken', Topic: undefined }),
      () => at.say(device, { ...TOKEN_UPDATE, UserID: 'USER-1', UserShortName: 'ada' }),
      () => at.say(device, { ...TOKEN_UPDATE, Token: Buffer.from(token, 'hex') }),
      () => at.say(device, { MessageType: 'Authenticate', SerialNumber: device.facts.serialNumber }),
    ]
    for (const contact of contacts) {
      world.apns.script(token, gone)
      expect((await at.claim(device, others)).enrolled).toBe(false)
      await contact()
      world.apns.script(token, { status: 400, reason: 'BadDeviceToken' })
      expect((await at.claim(device, others)).enrolled).toBe(false)
      world.clock.advance(5_000)
    }
    // It is asked anew although its token was refused before, and now has gone for good.
    world.apns.script(token, gone)
    expect((await at.claim(device, others)).enrolled).toBe(false)
    expect((await at.claim(device, others)).enrolled).toBe(true)
  })

  test('a contact while Apple is being asked counts, though the answer comes after it', async () => {
    const device = await byLink('ada')
    const token = await tokenOf(device)
    world.apns.script(token, 'hold')
    const claim = at.claim(device, others)
    await expect.poll(() => world.apns.held()).toBe(1)
    expect((await device.poll()).end).toBe('idle')
    await database()
      .kysely.updateTable('enrollments')
      .set({ last_seen_at: null })
      .where('id', '=', device.facts.udid)
      .execute()
    world.apns.script(token, gone)
    world.apns.release()
    expect((await claim).enrolled).toBe(false)
    expect((await at.claim(device, others)).enrolled).toBe(false)
  })

  test.each([
    ['BadDeviceToken', { status: 400, reason: 'BadDeviceToken' }],
    ['DeviceTokenNotForTopic', { status: 400, reason: 'DeviceTokenNotForTopic' }],
    ['410 with another reason', { status: 410, reason: 'ExpiredToken' }],
    ['400 Unregistered', { status: 400, reason: 'Unregistered' }],
    ['a failure of Apple’s', { status: 500, reason: 'InternalServerError' }],
    ['too many', { status: 429, reason: 'TooManyRequests' }],
  ])('%s proves nothing', async (_, answer) => {
    const device = await byLink('ada')
    const token = await tokenOf(device)
    for (let count = 0; count < 3; count++) {
      world.apns.script(token, answer)
      expect((await at.claim(device, others)).enrolled).toBe(false)
      world.clock.advance(6_000)
    }
    world.apns.script(token)
    expect((await at.shown(device.facts.udid)).user_name).toBe('ada')
  })

  test('a 410 that is older than the token, or than the last contact, proves nothing', async () => {
    const device = await byLink('ada')
    const token = await tokenOf(device)
    const enrolledAt = world.clock.now().getTime()
    world.clock.advance(10 * MINUTE)
    await device.poll()
    world.clock.advance(10_000)
    for (const timestamp of [enrolledAt - 1, enrolledAt + MINUTE]) {
      world.apns.script(token, { ...gone, timestamp })
      expect((await at.claim(device, others)).enrolled).toBe(false)
      expect((await at.claim(device, others)).enrolled).toBe(false)
      world.clock.advance(6_000)
    }
    // Its token was another one when that push went out.
    world.apns.script(token, gone)
    const asked = at.claim(device, others)
    await asked
    await device.updateToken()
    expect((await at.claim(device, others)).enrolled).toBe(false)
  })

  test('however many want it, Apple is asked once in five seconds', async () => {
    const device = await byLink('ada')
    const token = await tokenOf(device)
    const before = pushesTo(token)
    await Promise.all(Array.from({ length: 6 }, () => at.claim(device, others)))
    expect(pushesTo(token)).toBe(before + 1)
    await device.poll()
    expect((await at.claim(device, others)).enrolled).toBe(false)
    expect(pushesTo(token)).toBe(before + 1)
    world.clock.advance(5_000)
    await at.claim(device, others)
    expect(pushesTo(token)).toBe(before + 2)
    expect(world.apns.violations).toEqual([])
  })

  test('one that acknowledged EraseDevice can be taken, and counts against no limit', async () => {
    await at.user('grace', { device_limit: 1 })
    const url = await at.link({ user_name: 'grace' })
    const erase = async (device: Device) => {
      const order = { request_type: 'EraseDevice', device_ids: [device.facts.udid] }
      expect((await world.api('POST', '/commands', order)).status).toBe(202)
      expect((await device.poll()).end).toBe('erased')
    }
    const first = world.device()
    expect((await first.enroll({ url })).enrolled).toBe(true)
    expect((await world.device().enroll({ url })).enrolled).toBe(false)
    await erase(first)
    const second = world.device()
    expect((await second.enroll({ url })).enrolled).toBe(true)
    expect((await at.claim(first, others)).enrolled).toBe(true)
    expect(await at.shown(first.facts.udid)).toMatchObject({ user_name: 'mallory' })
    // A new enrollment of the erased one counts again.
    await erase(second)
    expect((await at.claim(second, url)).enrolled).toBe(true)
    expect((await world.device().enroll({ url })).enrolled).toBe(false)
  })

  test('an answer to EraseDevice that is no acknowledgement proves nothing, nor does one without its command', async () => {
    const device = await byLink('ada')
    const { udid } = device.facts
    const { body } = await world.api('POST', '/commands', { request_type: 'EraseDevice', device_ids: [udid] })
    const say = (keys: Record<string, string>) =>
      putMessage(`${world.url}/mdm/connect`, { UDID: udid, ...keys }, { signer: identityOf(device) })
    for (const Status of ['NotNow', 'Error', 'CommandFormatError', 'Acknowledged'])
      expect((await say({ Status, CommandUUID: body.uuid })).status).toBe(200)
    expect((await at.claim(device, others)).enrolled).toBe(false)
  })

  test('who was replaced gets a plain 403 whatever it says, and is told of once an hour', async () => {
    const device = await byLink()
    const { udid, serialNumber } = device.facts
    expect((await at.claim(device, await at.link())).enrolled).toBe(true)
    const say = async () => {
      const answers = [
        await idle(device),
        await at.say(device, TOKEN_UPDATE),
        await at.say(device, { ...TOKEN_UPDATE, UserID: 'USER-1' }),
        await at.say(device, { MessageType: 'Authenticate', SerialNumber: serialNumber }),
        await at.say(device, { MessageType: 'CheckOut' }),
        await at.say(device, { MessageType: 'GetBootstrapToken' }),
      ]
      for (const answer of answers) {
        expect(answer).toMatchObject({ status: 403, body: Buffer.alloc(0) })
        expect(answer.body.toString()).not.toContain(UNRECOGNIZED)
      }
    }
    const told = () => at.events('enrollment.contested', udid)
    await say()
    expect(await told()).toMatchObject([{ reason: 'certificate_replaced', serial_number: serialNumber }])
    world.clock.advance(59 * MINUTE)
    await say()
    expect(await told()).toHaveLength(1)
    world.clock.advance(MINUTE)
    await say()
    expect(await told()).toHaveLength(2)
    // Also when the one that replaced it has left.
    await world.api('DELETE', `/devices/${udid}?force=true`)
    await say()
    expect(await told()).toHaveLength(2)
  })
})
