import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PlistDict } from '../../src/protocol/plist/index.ts'
import { parsePlist, writePlist } from '../../src/protocol/plist/index.ts'
import { sha256 } from '../../src/kernel/ids.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { halfEnrolled, identityOf } from '../support/half-enrolled.ts'
import { testCa, testDevice } from '../support/identities.ts'
import { basic, callNanomdm } from '../support/nanomdm-caller.ts'

const HOUR = 3_600_000
const BOOTSTRAP = Buffer.from('a bootstrap token')
const UNLOCK = Buffer.from('an unlock token')

describeEachEngine('devices that move in by messages', (database) => {
  let world: TestApp
  let ca: Identity
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    ca = await testCa()
    await database()
      .kysely.insertInto('device_cas')
      .values({
        id: ca.certificate.fingerprint,
        certificate: ca.certificate.der,
        private_key: null,
        created_at: new Date(),
      })
      .execute()
  })
  afterAll(() => world.close())

  const certificate = (template = {}) => testDevice(ca, template, 'other')
  const send = (message: PlistDict, headers?: Record<string, string>) =>
    callNanomdm(world, 'PUT', '/migration', Buffer.from(writePlist(message)).toString(), headers)
  const messages = (udid: string, token = 'token of before') => [
    {
      MessageType: 'Authenticate',
      UDID: udid,
      Topic: TOPIC,
      SerialNumber: serialOf(udid),
      OSVersion: '18.1',
      DeviceName: 'Old',
    },
    {
      ...{
        MessageType: 'TokenUpdate',
        UDID: udid,
        Topic: TOPIC,
        PushMagic: 'magic',
        Token: Buffer.from(token),
      },
      ...{ UnlockToken: UNLOCK, AwaitingConfiguration: true },
    },
    { MessageType: 'SetBootstrapToken', UDID: udid, BootstrapToken: BOOTSTRAP },
  ]
  const serialOf = (udid: string) => `S${udid.slice(0, 8)}`
  const moved = async (udid = randomUUID().toUpperCase()) => {
    for (const message of messages(udid)) expect(await send(message)).toMatchObject({ status: 200, text: '' })
    return udid
  }
  const idle = (udid: string, signer: Identity, more = {}) =>
    putMessage(`${world.url}/mdm`, { Status: 'Idle', UDID: udid, ...more }, { signer })
  const row = (id: string) =>
    database().kysely.selectFrom('enrollments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const events = async (type: string, id: string, count: number) => {
    for (let round = 0; ; round++) {
      await world.pass(2_000)
      const { body } = await world.api('GET', `/events?type=${type}&limit=1000`)
      const found = body.items.filter((each: { enrollment_id: string }) => each.enrollment_id === id)
      if (found.length >= count || round === 50) return found
    }
  }

  test('a device moves in, is served with its own certificate, and has all that it had', async () => {
    const udid = await moved()
    const shown = (await world.api('GET', `/devices/${udid}`)).body
    expect(shown).toMatchObject({
      ...{ state: 'enrolled', serial_number: serialOf(udid), device_name: 'Old', os_version: '18.1' },
      push: { state: 'ok' },
    })
    expect(await row(udid)).toMatchObject({
      awaiting_configuration: false,
      awaits_certificate: true,
      topic: TOPIC,
    })
    expect((await events('device.enrolled', udid, 1)).at(-1)).toMatchObject({
      via: 'nanomdm',
      by: { kind: 'api_token' },
    })
    const own = await certificate()
    let told = await idle(udid, own)
    for (let round = 0; told.body.length === 0 && round < 50; round++) {
      await world.pass(1_000)
      told = await idle(udid, own)
    }
    expect(parsePlist(told.body)).toMatchObject({ Command: { RequestType: 'DeviceInformation' } })
    expect(await events('enrollment.certificate_adopted', udid, 1)).toMatchObject([
      { data: { certificate: sha256(own.certificate.der).toString('hex'), replaces: false }, via: 'device' },
    ])
    const asked = { MessageType: 'GetBootstrapToken', UDID: udid }
    told = await putMessage(`${world.url}/checkin`, asked, { signer: own, type: CHECK_IN })
    expect(told.body.includes(BOOTSTRAP.toString('base64'))).toBe(true)
    const { body } = await callNanomdm(
      world,
      'POST',
      '/v1/enrollments/query',
      JSON.stringify({ filter: { ids: [udid] }, options: { include_unlock_token: true } }),
    )
    expect(body.enrollments[0].device.unlock_token).toBe(UNLOCK.toString('base64'))
    expect((await idle(udid, await certificate())).status).toBe(403)
  })

  test('it may begin with TokenUpdate, Authenticate, and on the channel of a user', async () => {
    for (const message of [
      { ...messages('x')[1], Token: Buffer.from('new') },
      { MessageType: 'Authenticate', Topic: TOPIC },
      {
        MessageType: 'TokenUpdate',
        Topic: TOPIC,
        PushMagic: 'm',
        Token: Buffer.from('u'),
        UserID: 'U',
        UserShortName: 'ada',
      },
    ]) {
      const udid = await moved()
      const signer = await certificate()
      const answer = await putMessage(
        `${world.url}/checkin`,
        { ...message, UDID: udid },
        { signer, type: CHECK_IN },
      )
      expect([message, answer.status]).toEqual([message, 200])
      expect((await idle(udid, signer)).status).toBe(200)
    }
  })

  test('what is no unknown certificate of a trusted CA adopts nothing', async () => {
    const udid = await moved()
    const enrolled = await world.enrolled()
    const newcomer = await halfEnrolled(world, 'certificate')
    const own = await certificate()
    const other = await moved()
    expect((await idle(other, own)).status).toBe(200)
    for (const signer of [
      ...[identityOf(enrolled), identityOf(newcomer), own, await testDevice()],
      await certificate({ notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') }),
      await certificate({ notBefore: new Date('2035-01-01') }),
    ])
      expect((await idle(udid, signer)).status).toBeGreaterThanOrEqual(400)
    expect((await idle(udid, await certificate(), { UDID: undefined, EnrollmentID: udid })).status).toBe(403)
    expect((await idle(enrolled.facts.udid, await certificate())).status).toBe(403)
    expect(await row(udid)).toMatchObject({ awaits_certificate: true, last_seen_at: null })
    // Neither is what it did: the newcomer enrols, the device comes with its own.
    expect((await enrolled.poll()).results.Error).toBe(0)
    expect((await idle(udid, await certificate())).status).toBe(200)
  })

  test('of many at the same moment one adopts, and a certificate is that of one', async () => {
    const udid = await moved()
    const signers = await Promise.all(Array.from({ length: 6 }, () => certificate()))
    const answers = await Promise.all(signers.map((signer) => idle(udid, signer)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 403, 403, 403, 403, 403])
    const udids = [await moved(), await moved(), await moved()]
    const one = await certificate()
    const of = await Promise.all(udids.map((each) => idle(each, one)))
    expect(of.map(({ status }) => status).toSorted()).toEqual([200, 403, 403])
  })

  test('messages of a device that has come overwrite nothing; another identity may take its place for an hour', async () => {
    const udid = await moved()
    const first = await certificate()
    const news = { ...messages(udid)[1], Token: Buffer.from('newer') }
    expect((await putMessage(`${world.url}/checkin`, news, { signer: first, type: CHECK_IN })).status).toBe(
      200,
    )
    const before = await row(udid)
    await moved(udid)
    const after = await row(udid)
    for (const name of [
      'push_token',
      'token_update_tally',
      'generation',
      'bootstrap_token',
      'os_version',
    ] as const)
      expect([name, after[name]]).toEqual([name, before[name]])
    expect((await idle(udid, first)).status).toBe(200)
    expect((await events('enrollment.re_enrollment_allowed', udid, 3)).length).toBe(3)
    world.clock.advance(HOUR + 1)
    expect((await idle(udid, await certificate())).status).toBe(403)
    await moved(udid)
    const second = await certificate()
    expect((await idle(udid, second)).status).toBe(200)
    expect((await events('enrollment.certificate_adopted', udid, 2)).at(-1)).toMatchObject({
      data: { replaces: true },
    })
    for (const signer of [first, await certificate()]) expect((await idle(udid, signer)).status).toBe(403)
    expect((await idle(udid, second)).status).toBe(200)
  })

  test('one that has left moves in anew; a live one of ours stays what it is', async () => {
    const device = await world.enrolled()
    const { udid } = device.facts
    const before = await row(udid)
    await moved(udid)
    expect(await row(udid)).toMatchObject({
      way: 'link',
      push_token: before.push_token,
      generation: before.generation,
    })
    expect((await device.poll()).results.Error).toBe(0)
    await device.checkOut()
    await moved(udid)
    expect(await row(udid)).toMatchObject({ way: null, user_id: null, attempt_id: null, unenrolled_at: null })
    expect((await idle(udid, identityOf(device))).status).toBe(403)
    expect((await idle(udid, await certificate())).status).toBe(200)
  })

  test('it is unenrolled by the profile that it has', async () => {
    const udid = await moved()
    const unenroll = () => world.api('POST', `/devices/${udid}/unenroll`)
    expect(await unenroll()).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('profile') },
    })
    const signer = await certificate()
    const profiles = [
      {
        PayloadIdentifier: 'ch.example.wifi',
        PayloadUUID: 'a',
        PayloadContent: [{ PayloadType: 'com.apple.wifi.managed' }],
      },
      {
        PayloadIdentifier: 'com.github.micromdm.nanomdm',
        PayloadUUID: 'b',
        PayloadContent: [{ PayloadType: 'com.apple.mdm' }],
      },
    ]
    let last: PlistDict = { Status: 'Idle' }
    for (let round = 0; round < 100; round++) {
      const { body } = await putMessage(`${world.url}/mdm`, { UDID: udid, ...last }, { signer })
      await world.pass(1_000)
      last = { Status: 'Idle' }
      if (body.length === 0) {
        if ((await unenroll()).status === 202) break
        await world.api('POST', `/devices/${udid}/refresh`)
        continue
      }
      const command = parsePlist(body) as { CommandUUID: string; Command: { RequestType: string } }
      const isList = command.Command.RequestType === 'ProfileList'
      last = {
        Status: isList ? 'Acknowledged' : 'Error',
        CommandUUID: command.CommandUUID,
        ...(isList && { ProfileList: profiles }),
      }
    }
    const { body } = await idle(udid, signer)
    expect(parsePlist(body)).toMatchObject({
      Command: { RequestType: 'RemoveProfile', Identifier: 'com.github.micromdm.nanomdm' },
    })
  })

  test('users move in after their device', async () => {
    const udid = await moved()
    const user = {
      MessageType: 'TokenUpdate',
      UDID: udid,
      Topic: TOPIC,
      PushMagic: 'm',
      Token: Buffer.from('u'),
    }
    expect((await send({ ...user, UserID: 'U1', UserShortName: 'ada', UserLongName: 'Ada L.' })).status).toBe(
      200,
    )
    expect(await row(`${udid}:U1`)).toMatchObject({
      user_short_name: 'ada',
      token_update_tally: 1,
      push_state: 'ok',
    })
    const signer = await certificate()
    expect((await idle(udid, signer, { UserID: 'U1' })).status).toBe(200)
  })

  test('what moves nobody in is refused and changes nothing', async () => {
    const udid = randomUUID()
    const [authenticate, token, bootstrap] = messages(udid)
    for (const message of [token, bootstrap]) expect((await send(message as PlistDict)).status).toBe(404)
    await send(authenticate as PlistDict)
    const user = { ...token, UserID: 'U' } as PlistDict
    expect((await send(user)).status).toBe(404)
    for (const type of [
      'CheckOut',
      'GetBootstrapToken',
      'UserAuthenticate',
      'DeclarativeManagement',
      'Nonsense',
    ])
      expect([
        type,
        (await send({ MessageType: type, UDID: udid, UserID: 'U', Endpoint: 'tokens' })).status,
      ]).toEqual([type, 400])
    for (const body of ['', 'nonsense', '<plist/>'])
      expect((await callNanomdm(world, 'PUT', '/migration', body)).status).toBe(400)
    const { body: viewer } = await world.api('POST', '/api-tokens', { name: 'reader', role: 'viewer' })
    expect((await send(authenticate as PlistDict, { authorization: basic(viewer.secret) })).status).toBe(403)
    expect((await send(authenticate as PlistDict, {})).status).toBe(401)
    // One that never got further is over an hour later, as any other.
    await world.pass(2 * HOUR)
    await expect
      .poll(async () => (await world.pass(60_000), (await row(udid)).unenroll_reason))
      .toBe('abandoned')
  })
})
