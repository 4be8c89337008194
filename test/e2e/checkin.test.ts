import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSecretBox } from '../../src/kernel/secret-box.ts'
import { isDict, parsePlist, writePlist } from '../../src/protocol/plist/index.ts'
import { signData } from '../../src/protocol/cms/index.ts'
import { createDeviceHttp, type Device } from '../../src/simulator/index.ts'
import { SHARED_IPAD_USER_ID } from '../support/shared-ipad.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { checkIn, halfEnrolled, identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'

const box = createSecretBox({ key: Buffer.alloc(32, 7) })
const OTHER_TOPIC = 'com.apple.mgmt.External.another'
const EMPTY = Buffer.alloc(0)

describeEachEngine('check-in', (database) => {
  let world: TestApp
  const http = createDeviceHttp()
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(async () => {
    http.close()
    await world.close()
  })

  const send = (device: Device, keys: Parameters<typeof checkIn>[2]) => checkIn(world, device, keys)
  const shown = async (id: string) => (await world.api('GET', `/devices/${encodeURIComponent(id)}`)).body
  const rowOf = (id: string) =>
    database().kysely.selectFrom('enrollments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const messagesOf = (id: string) =>
    database()
      .kysely.selectFrom('checkin_messages')
      .select(['message_type', 'raw'])
      .where('enrollment_id', '=', id)
      .orderBy('received_at')
      .execute()
  const attemptOf = async (device: Device) =>
    (await world.api('GET', `/enrollment-attempts?serial_number=${device.facts.serialNumber}`)).body.items[0]

  test('UserAuthenticate is refused with 410, or accepted without a password by setting', async () => {
    const device = await world.enrolled()
    const message = {
      MessageType: 'UserAuthenticate',
      UserID: 'USER-1',
      UserShortName: 'ada',
      Topic: undefined,
    }
    expect(await send(device, message)).toMatchObject({ status: 410, body: EMPTY })
    await world.api('PATCH', '/settings', { user_authenticate: 'accept' })
    const challenge = await send(device, message)
    expect(challenge.status).toBe(200)
    expect(parsePlist(challenge.body)).toEqual({ DigestChallenge: '' })
    expect(await send(device, { ...message, DigestResponse: '' })).toMatchObject({ status: 200, body: EMPTY })
    await world.api('PATCH', '/settings', { user_authenticate: 'refuse' })
    expect((await send(device, message)).status).toBe(410)
    expect((await send(device, { ...message, UserID: undefined })).status).toBe(400)
  })

  test('a bootstrap token is kept sealed, given back, and deleted by a message without one', async () => {
    const device = await world.enrolled()
    const set = (token?: Buffer<ArrayBuffer>) =>
      send(device, {
        MessageType: 'SetBootstrapToken',
        Topic: undefined,
        ...(token && { BootstrapToken: token }),
      })
    const get = async () => {
      const answer = await send(device, { MessageType: 'GetBootstrapToken', Topic: undefined })
      expect(answer.status).toBe(200)
      const value = answer.body.length === 0 ? {} : parsePlist(answer.body)
      const token = isDict(value) ? value['BootstrapToken'] : undefined
      return token instanceof Uint8Array ? Buffer.from(token).toString() : ''
    }
    expect(await get()).toBe('')
    expect(await set(Buffer.from('a bootstrap token'))).toMatchObject({ status: 200, body: EMPTY })
    expect(await get()).toBe('a bootstrap token')
    expect((await rowOf(device.facts.udid)).bootstrap_token?.includes('a bootstrap token')).toBe(false)
    expect((await shown(device.facts.udid)).has_bootstrap_token).toBe(true)
    await set(EMPTY)
    expect(await get()).toBe('')
    await set(Buffer.from('another'))
    await set(undefined)
    expect(await get()).toBe('')
    expect((await shown(device.facts.udid)).has_bootstrap_token).toBe(false)
  })

  test('what is not served yet is refused as Apple documents it', async () => {
    const device = await world.enrolled()
    const maid = { MessageType: 'GetToken', TokenServiceType: 'com.apple.maid' }
    expect(await send(device, maid)).toMatchObject({ status: 400, body: EMPTY })
    const declarative = { MessageType: 'DeclarativeManagement', Endpoint: 'tokens' }
    expect(await send(device, declarative)).toMatchObject({ status: 404, body: EMPTY })
    const returning = await send(device, { MessageType: 'ReturnToService', Topic: undefined })
    expect(returning.status).toBe(200)
    expect(parsePlist(returning.body)).toEqual({ ReturnToService: { Enabled: false } })
    expect(world.logReasons()).toContain('service_unknown')
  })

  test('CheckOut ends an enrollment once, however often it is said', async () => {
    const device = await world.enrolled()
    const { body: command } = await world.api('POST', '/commands', {
      request_type: 'DeviceLock',
      device_ids: [device.facts.udid],
    })
    for (let count = 0; count < 3; count++)
      expect(await send(device, { MessageType: 'CheckOut' })).toMatchObject({ status: 200, body: EMPTY })
    expect(await shown(device.facts.udid)).toMatchObject({
      state: 'unenrolled',
      unenroll_reason: 'checked_out',
      push: { state: 'waiting_for_token' },
    })
    const row = await rowOf(device.facts.udid)
    expect([row.push_token, row.push_magic]).toEqual([null, null])
    expect((await world.api('GET', `/commands/${command.uuid}`)).body.deliveries[0].state).toBe('cancelled')
    const kinds = (await messagesOf(device.facts.udid)).map(({ message_type }) => message_type)
    expect(kinds.filter((kind) => kind === 'CheckOut')).toHaveLength(1)
  })

  test('a device that acknowledged the removal of its profile may say CheckOut after it', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    expect((await world.api('POST', `/devices/${device.facts.udid}/unenroll`)).status).toBe(202)
    const session = await device.poll()
    expect(session.end).toBe('removed')
    expect(device.violations()).toEqual([])
    expect(await shown(device.facts.udid)).toMatchObject({
      state: 'unenrolled',
      unenroll_reason: 'profile_removed',
    })
    expect(await send(device, { MessageType: 'CheckOut' })).toMatchObject({ status: 200, body: EMPTY })
    expect((await shown(device.facts.udid)).unenroll_reason).toBe('profile_removed')
  })

  test('unknown kinds and messages without what they need are refused, and change nothing', async () => {
    const device = await world.enrolled()
    const before = await rowOf(device.facts.udid)
    const authenticate = { MessageType: 'Authenticate', DeviceName: 'x', Model: 'y' }
    const wrong = [
      { MessageType: 'Telepathy' },
      { MessageType: undefined },
      { MessageType: 7n },
      { ...authenticate, Topic: undefined },
      { ...authenticate, UDID: undefined },
      { ...authenticate, UserID: 'USER-1' },
      { ...authenticate, EnrollmentID: 'both' },
      { ...TOKEN_UPDATE, Topic: undefined },
      { ...TOKEN_UPDATE, Token: undefined },
      { ...TOKEN_UPDATE, Token: EMPTY },
      { ...TOKEN_UPDATE, Token: 'text' },
      { ...TOKEN_UPDATE, PushMagic: undefined },
      { ...TOKEN_UPDATE, UserID: SHARED_IPAD_USER_ID },
      { MessageType: 'GetToken' },
      { MessageType: 'DeclarativeManagement' },
      { MessageType: 'SetBootstrapToken', UserID: 'USER-1' },
      { MessageType: 'CheckOut', UDID: '' },
      { MessageType: 'CheckOut', UDID: 'a\nb' },
    ]
    for (const keys of wrong)
      expect({ keys, status: (await send(device, keys)).status }).toEqual({ keys, status: 400 })
    expect({ ...(await rowOf(device.facts.udid)), last_seen_at: null }).toEqual({
      ...before,
      last_seen_at: null,
    })
    expect(world.logText().includes('Unknown MessageType')).toBe(true)
  })

  test('a wrong topic is refused with 400, and the attempt says so', async () => {
    const certified = await halfEnrolled(world, 'certificate')
    const authenticate = { MessageType: 'Authenticate', DeviceName: 'x', Model: 'y', Topic: OTHER_TOPIC }
    const { serialNumber } = certified.facts
    expect((await send(certified, { ...authenticate, SerialNumber: serialNumber })).status).toBe(400)
    expect(await attemptOf(certified)).toMatchObject({ outcome: 'rejected', reason: 'topic_mismatch' })

    const authenticated = await halfEnrolled(world, 'authenticate')
    expect((await send(authenticated, { ...TOKEN_UPDATE, Topic: OTHER_TOPIC })).status).toBe(400)
    expect(await attemptOf(authenticated)).toMatchObject({
      outcome: 'rejected',
      reason: 'topic_mismatch',
      timeline: expect.arrayContaining([
        expect.objectContaining({ step: 'token_update', outcome: 'refused', reason: 'topic_mismatch' }),
      ]),
    })

    const enrolled = await world.enrolled()
    const before = await rowOf(enrolled.facts.udid)
    expect((await send(enrolled, { ...TOKEN_UPDATE, Topic: OTHER_TOPIC })).status).toBe(400)
    expect((await send(enrolled, authenticate)).status).toBe(400)
    expect(await rowOf(enrolled.facts.udid)).toMatchObject({
      topic: TOPIC,
      push_magic: before.push_magic,
      token_update_tally: 1,
    })
    expect((await enrolled.poll()).end).toBe('idle')
  })

  test('messages in a wrong order are refused and leave the way open for the right one', async () => {
    const certified = await halfEnrolled(world, 'certificate')
    expect(await send(certified, TOKEN_UPDATE)).toMatchObject({ status: 403, body: EMPTY })
    expect(world.logReasons()).toContain('certificate_unbound')
    for (const MessageType of ['CheckOut', 'GetBootstrapToken', 'SetBootstrapToken', 'ReturnToService'])
      expect(await send(certified, { MessageType })).toMatchObject({ status: 403, body: EMPTY })
    expect(
      await putMessage(
        `${world.url}/mdm`,
        { Status: 'Idle', UDID: certified.facts.udid },
        { signer: identityOf(certified) },
      ),
    ).toMatchObject({ status: 403, body: EMPTY })
    expect((await world.api('GET', `/devices/${certified.facts.udid}`)).status).toBe(404)
    const { serialNumber } = certified.facts
    const authenticate = { MessageType: 'Authenticate', DeviceName: 'x', SerialNumber: serialNumber }
    expect((await send(certified, authenticate)).status).toBe(200)

    const user = { ...TOKEN_UPDATE, UserID: 'USER-1', UserShortName: 'ada' }
    expect((await send(certified, user)).status).toBe(400)
    expect(world.logReasons()).toContain('device_not_enrolled')
    expect((await send(certified, TOKEN_UPDATE)).status).toBe(200)
    expect((await send(certified, user)).status).toBe(200)
    const idle = { Status: 'Idle', UDID: certified.facts.udid, UserID: 'USER-2' }
    expect((await putMessage(`${world.url}/mdm`, idle, { signer: identityOf(certified) })).status).toBe(400)
    expect(world.logReasons()).toContain('channel_unknown')
  })

  test('an Authenticate that is repeated before its TokenUpdate is the same enrollment', async () => {
    const device = await halfEnrolled(world, 'authenticate')
    const again = { MessageType: 'Authenticate', DeviceName: 'x', SerialNumber: device.facts.serialNumber }
    expect((await send(device, again)).status).toBe(200)
    expect((await send(device, TOKEN_UPDATE)).status).toBe(200)
    expect(await shown(device.facts.udid)).toMatchObject({ state: 'enrolled', token_update_tally: 1 })
    expect((await attemptOf(device)).outcome).toBe('enrolled')
  })

  test('user enrollments go by their EnrollmentID, the users of a Shared iPad by their short name', async () => {
    const personal = await world.enrolled({ enrollmentId: 'ENROLLMENT-1' })
    expect(await shown('ENROLLMENT-1')).toMatchObject({
      type: 'user_enrollment_device',
      udid: null,
      state: 'enrolled',
      has_unlock_token: false,
    })
    await personal.signIn({ EnrollmentUserID: 'EU-1' })
    expect(await shown('ENROLLMENT-1:EU-1')).toMatchObject({
      type: 'user_enrollment_user',
      parent_id: 'ENROLLMENT-1',
    })
    expect((await personal.poll()).end).toBe('idle')

    const ipad = await world.enrolled({ sharedUsers: true })
    const { channel } = await ipad.signIn({
      UserID: SHARED_IPAD_USER_ID,
      UserShortName: 'ada@school.example',
    })
    expect(await shown(`${ipad.facts.udid}:ada@school.example`)).toMatchObject({
      type: 'shared_ipad_user',
      user_short_name: 'ada@school.example',
    })
    expect((await ipad.poll(channel)).end).toBe('idle')
    expect([...personal.violations(), ...ipad.violations()]).toEqual([])
  })

  test('all three addresses take both kinds of message, whatever the content type says or does not', async () => {
    const device = await world.enrolled()
    const put = async (path: string, type: string | undefined, message: Parameters<typeof writePlist>[0]) => {
      const body = Buffer.from(writePlist(message))
      const signature = await signData({ content: body, detached: true, signer: identityOf(device) })
      const headers = {
        'mdm-signature': signature.toString('base64'),
        ...(type !== undefined && { 'content-type': type }),
      }
      return (await http.send({ method: 'PUT', url: `${world.url}${path}`, headers, body })).status
    }
    const { udid } = device.facts
    const update = { ...TOKEN_UPDATE, Topic: TOPIC, UDID: udid }
    const idle = { Status: 'Idle', UDID: udid }
    const unclear = [undefined, 'text/plain', 'application/xml; charset=utf-8', 'application/json']
    let tally = 1
    for (const path of ['/mdm', '/mdm/checkin', '/mdm/connect']) {
      for (const type of [CHECK_IN, `${CHECK_IN}; charset=UTF-8`, ...unclear]) {
        expect({ path, type, status: await put(path, type, update) }).toEqual({ path, type, status: 200 })
        tally++
      }
      for (const type of [
        'application/x-apple-aspen-mdm',
        'application/x-apple-aspen-mdm; charset=UTF-8',
        ...unclear,
      ])
        expect({ path, type, status: await put(path, type, idle) }).toEqual({ path, type, status: 200 })
      expect(await put(path, 'application/x-apple-aspen-mdm', update)).toBe(400)
      expect(await put(path, CHECK_IN, idle)).toBe(400)
      for (const type of ['nonsense', 'application/', ';;', 'application/x-apple-aspen-mdm; charset'])
        expect(await put(path, type, idle)).toBe(200)
    }
    expect((await shown(udid)).token_update_tally).toBe(tally)
  })

  test('a TokenUpdate without UnlockToken keeps the one that is stored, one with another replaces it', async () => {
    const device = await world.enrolled()
    const unlockToken = async () => {
      const { id, unlock_token } = await rowOf(device.facts.udid)
      return box.open(unlock_token!, `enrollments.unlock_token:${id}`).toString('hex')
    }
    const first = await unlockToken()
    await device.updateToken({ withUnlockToken: false })
    await send(device, { ...TOKEN_UPDATE, UnlockToken: EMPTY })
    expect(await unlockToken()).toBe(first)
    await send(device, { ...TOKEN_UPDATE, UnlockToken: Buffer.alloc(9_000, 3) })
    expect(await unlockToken()).toBe('03'.repeat(9_000))
  })

  test('messages are kept as they came, sealed', async () => {
    const device = await world.enrolled()
    await send(device, { ...TOKEN_UPDATE, PushMagic: 'RECOGNISABLE', UnlockToken: Buffer.from('UNLOCK') })
    await send(device, { MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.from('BOOTSTRAP') })
    const kept = await messagesOf(device.facts.udid)
    expect(kept.map(({ message_type }) => message_type).toSorted()).toEqual([
      'Authenticate',
      'SetBootstrapToken',
      'TokenUpdate',
      'TokenUpdate',
    ])
    for (const { message_type, raw } of kept) {
      expect(raw.includes('MessageType')).toBe(false)
      const plain = box.open(raw, `checkin_messages.raw:${device.facts.udid}`)
      expect(parsePlist(plain)).toMatchObject({ MessageType: message_type })
    }
  })

  test('a device that goes no further than Authenticate is abandoned after an hour, and told so', async () => {
    const device = await halfEnrolled(world, 'authenticate')
    const udid = device.facts.udid
    world.clock.advance(59 * 60_000)
    expect((await shown(udid)).unenrolled_at).toBeNull()
    await expect
      .poll(async () => {
        await world.pass(60_000)
        return (await shown(udid)).unenroll_reason
      })
      .toBe('abandoned')
    await expect
      .poll(async () => {
        await world.pass(20_000)
        return (await attemptOf(device)).outcome
      })
      .toBe('expired')
    expect((await attemptOf(device)).reason).toBe('abandoned')
    const answer = await send(device, TOKEN_UPDATE)
    expect(answer.status).toBe(403)
    expect(answer.body.toString()).toContain('com.apple.unrecognized.device')
    expect((await device.enroll({ url: await world.link() })).enrolled).toBe(false)
  })
})
