import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Identity } from '../../src/protocol/x509/index.ts'
import { createSelfSignedCa, createLeaf, validity } from '../../src/protocol/x509/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { testKey } from '../support/keys.ts'

describeEachEngine('who is calling', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const identityOf = (device: Device): Identity => {
    const identity = device.identity()
    if (!identity) throw new Error('not enrolled')
    return identity
  }
  const idle = (device: Device, signer?: Identity, signed?: Uint8Array) =>
    putMessage(
      `${world.url}/mdm/connect`,
      { Status: 'Idle', UDID: device.facts.udid },
      {
        signer,
        ...(signed && { signed }),
      },
    )

  test('a device speaks for itself and for nobody else', async () => {
    const [one, other] = [await world.enrolled(), await world.enrolled()]
    expect((await idle(one, identityOf(one))).status).toBe(200)
    const foreign = await idle(one, identityOf(other))
    expect(foreign).toMatchObject({ status: 403, body: Buffer.alloc(0) })
    const token = await putMessage(
      `${world.url}/mdm/checkin`,
      {
        MessageType: 'TokenUpdate',
        UDID: one.facts.udid,
        Topic: TOPIC,
        Token: Buffer.alloc(32),
        PushMagic: 'x',
      },
      { signer: identityOf(other), type: CHECK_IN },
    )
    expect(token).toMatchObject({ status: 403, body: Buffer.alloc(0) })
  })

  test('a udid is the same in any case', async () => {
    const device = await world.enrolled()
    const answer = await putMessage(
      `${world.url}/mdm`,
      { Status: 'Idle', UDID: device.facts.udid.toLowerCase() },
      { signer: identityOf(device) },
    )
    expect(answer.status).toBe(200)
  })

  test('nothing unsigned, signed over something else, by a stranger or damaged gets in, and nothing gets a 401', async () => {
    const device = await world.enrolled()
    const ca = await createSelfSignedCa({
      commonName: 'Stranger',
      organization: 'Elsewhere',
      now: new Date(),
      days: 10,
    })
    const stranger = await createLeaf({
      subject: [['CN', 'stranger']],
      ...validity(new Date(), 1),
      issuer: ca,
      key: testKey('other'),
    })
    expect(await idle(device)).toMatchObject({ status: 400, body: Buffer.alloc(0) })
    expect(await idle(device, stranger)).toMatchObject({ status: 403, body: Buffer.alloc(0) })
    expect(await idle(device, identityOf(device), Buffer.from('another body'))).toMatchObject({ status: 400 })
    for (const signature of ['', '!!!', 'AAAA', Buffer.alloc(3000, 0x30).toString('base64')]) {
      const answer = await putMessage(
        `${world.url}/mdm/connect`,
        { Status: 'Idle', UDID: device.facts.udid },
        { headers: { 'mdm-signature': signature } },
      )
      expect(answer.status).toBe(400)
    }
    expect(world.logText()).toContain('"event":"message.refused"')
  })

  test('after a new enrollment the old certificate is refused, and nothing of the old one is left', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    const before = identityOf(device)
    await device.signIn({ UserID: 'USER-1', UserShortName: 'ada' })
    const { body } = await world.api('POST', '/commands', {
      request_type: 'DeviceLock',
      device_ids: [device.facts.udid],
    })
    await device.enroll({ url: await world.link() })
    expect(await idle(device, before)).toMatchObject({ status: 403, body: Buffer.alloc(0) })
    const shown = (await world.api('GET', `/commands/${body.uuid}`)).body
    expect(shown.deliveries[0].state).toBe('cancelled')
    const user = await world.api('GET', `/devices/${device.facts.udid}%3AUSER-1`)
    expect(user.status).toBe(404)
    expect((await world.api('GET', `/devices/${device.facts.udid}`)).body).toMatchObject({
      state: 'enrolled',
      token_update_tally: 1,
    })
    expect(device.violations()).toEqual([])
  })

  test('only a certificate of an enrollment that has ended is told so', async () => {
    const device = await world.enrolled()
    const identity = identityOf(device)
    await device.checkOut()
    const answer = await idle(device, identity)
    expect(answer.status).toBe(403)
    expect(answer.type).toMatch(/^application\/json/)
    expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'com.apple.unrecognized.device' })
    const gone = await world.enrolled()
    expect((await world.api('DELETE', `/devices/${gone.facts.udid}`)).body.code).toBe('conflict')
    expect((await world.api('DELETE', `/devices/${gone.facts.udid}?force=true`)).status).toBe(204)
    expect((await idle(gone, identityOf(gone))).body.toString()).toContain('com.apple.unrecognized.device')
    expect((await world.api('GET', `/devices/${gone.facts.udid}`)).status).toBe(404)
  })

  test('an enrollment profile that is installed again as an update resets nothing', async () => {
    const device = await world.enrolled({ authenticateOnUpdate: true })
    await world.introduced(device)
    const before = (await world.api('GET', `/devices/${device.facts.udid}`)).body
    await device.updateToken()
    await device.updateToken({ withUnlockToken: false })
    const after = (await world.api('GET', `/devices/${device.facts.udid}`)).body
    expect(after).toMatchObject({
      token_update_tally: before.token_update_tally + 2,
      has_unlock_token: true,
      enrolled_at: before.enrolled_at,
    })
  })
})
