import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signMachineInfo } from '../../src/protocol/ade/index.ts'
import { createDeviceHttp, type DeviceHttp, type Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { adeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.

const PASSWORD = 'right password'
const person = { userName: 'lena', passwords: [PASSWORD] }

describe('two servers on one PostgreSQL', () => {
  let database: TestDatabase
  let one: AdeApp
  let other: AdeApp
  let plain: string
  let prompt: string
  beforeAll(async () => {
    database = await testDatabase('postgres')
    one = await startAdeApp({ db: await openAgain(database) })
    const settings = { FIRSTBOOT_PUBLIC_URL: one.url }
    other = await startAdeApp({ db: await openAgain(database), with: one, settings })
    plain = await one.policy()
    prompt = await one.policy({ user_affinity: 'prompt' })
  })
  afterAll(async () => {
    await other.close()
    await one.close()
    await database.close()
  })

  /** A device's way that ends at the second server, whatever address it was told. */
  const toOther = (http: DeviceHttp): DeviceHttp => ({
    ...http,
    send: (request) => http.send({ ...request, url: request.url.replace(one.url, other.url) }),
  })

  /** Lets nobody say Authenticate before so many devices are about to, or `isOver`. */
  function gate(count: number): (http: DeviceHttp) => DeviceHttp {
    let arrived = 0
    let open: () => void = () => undefined
    const opened = new Promise<void>((resolve) => (open = resolve))
    return (http) => ({
      ...http,
      async send(request) {
        const isIt = request.body !== undefined && Buffer.from(request.body).includes('Authenticate')
        if (isIt && ++arrived >= count) open()
        if (isIt) await opened
        return http.send(request)
      },
    })
  }

  async function powerOnAtOnce(count: number, wrap: (http: DeviceHttp) => DeviceHttp = (http) => http) {
    const wishes = Array.from({ length: count }, (_, index) => {
      const http = wrap(createDeviceHttp())
      return { person, http: index % 2 === 0 ? http : toOther(http) }
    })
    const phones = await one.phones(prompt, ...wishes)
    const results = await Promise.all(phones.map((phone) => phone.powerOn()))
    for (const phone of phones) expect([phone.violations(), phone.faults()]).toEqual([[], []])
    return phones.map((phone, index) => ({ phone, ...results[index]! }))
  }

  test.each([
    ['with profiles for all of them before the first Authenticate', true],
    ['each as fast as it can', false],
  ])('of 12 phones of a user at once exactly 4 enrol, the device limit: %s', async (_, isGated) => {
    const name = isGated ? 'lena' : 'lina'
    Object.assign(person, { userName: name })
    await one.user(name, { device_limit: 4 })
    const all = await powerOnAtOnce(12, isGated ? gate(12) : undefined)
    const refused = all.filter(({ outcome }) => outcome === 'refused')
    expect(all.filter(({ outcome }) => outcome === 'enrolled')).toHaveLength(4)
    expect(refused).toHaveLength(8)
    const live = (await other.api('GET', `/devices?user_name=${name}&state=enrolled`)).body.items
    expect(live).toHaveLength(4)
    for (const { phone, httpStatus } of refused) {
      expect(httpStatus).toBe(403)
      const attempt = await one.attemptOf(phone)
      expect(attempt).toMatchObject({ outcome: 'rejected', reason: 'device_limit_exceeded', user_name: name })
      expect(attempt.timeline.at(-1)!.detail).toEqual({ count: 4, limit: 4 })
      if (isGated) expect(attempt.timeline.map(({ step }) => step)).toContain('certificate')
      expect((await one.api('GET', `/devices/${phone.facts.udid}`)).status).toBe(404)
    }
  })

  const machineInfo = async ({ facts }: Phone) => {
    const identity = await one.ca.deviceIdentity(facts.serialNumber)
    const keys = { PRODUCT: facts.productName, VERSION: facts.buildVersion, OS_VERSION: facts.osVersion }
    const info = { UDID: facts.udid, SERIAL: facts.serialNumber, ...keys }
    return new Uint8Array(await signMachineInfo(info, identity, { chain: one.ca.chain }))
  }
  const post = async (world: AdeApp, phone: Phone) => {
    const answer = await fetch(one.activation(phone).url.replace(one.url, world.url), {
      method: 'POST',
      headers: { 'content-type': 'application/pkcs7-signature' },
      body: await machineInfo(phone),
    })
    expect(answer.status).toBe(200)
    return Buffer.from(await answer.arrayBuffer())
  }

  test('60 posts of one serial number at once, at both servers, leave one live attempt; its profile enrols', async () => {
    const phone = await one.phone(plain)
    const worlds = Array.from({ length: 30 }, () => [one, other]).flat()
    const profiles = await Promise.all(worlds.map((world) => post(world, phone)))
    const attempts = await one.attemptsOf(phone)
    expect(attempts.filter(({ outcome }) => outcome === 'in_progress')).toHaveLength(1)
    for (const attempt of attempts.filter(({ outcome }) => outcome !== 'in_progress'))
      expect(attempt).toMatchObject({ outcome: 'expired', reason: 'abandoned' })
    const outcomes = []
    for (const profile of profiles) outcomes.push((await phone.device.enroll({ profile })).enrolled)
    expect(outcomes.filter(Boolean)).toHaveLength(1)
  })

  test('powered on again, at the other server: one attempt, and each profile is good until one is used', async () => {
    const phone = await one.phone(plain)
    const older = await post(one, phone)
    one.clock.advance(1)
    const newer = await post(other, phone)
    expect((await one.attemptsOf(phone)).map(({ outcome }) => outcome)).toEqual(['in_progress'])
    expect((await phone.device.enroll({ profile: older })).enrolled).toBe(true)
    expect((await one.attemptOf(phone)).outcome).toBe('enrolled')
    phone.erase()
    const late = await phone.device.enroll({ profile: newer })
    expect(late).toMatchObject({ enrolled: false, step: 'certificate' })
    expect([...one.logReasons(), ...other.logReasons()]).toContain('challenge_invalid')
  })

  test('a post between certificate and Authenticate takes nothing from the device, and its profile enrols nobody', async () => {
    const phone = await one.phone(plain)
    const hold = gate(2)
    const http = hold(createDeviceHttp())
    const slow = await one.stranger({ facts: phone.facts, http, activate: () => undefined })
    const first = slow.device.enroll({ profile: await post(one, phone) })
    await expect
      .poll(async () => (await one.attemptOf(phone)).timeline.map(({ step }) => step))
      .toContain('certificate')
    one.clock.advance(1)
    const newer = await post(other, phone)
    // A second Authenticate opens the gate.
    await http
      .send({ method: 'GET', url: `${one.url}/healthz`, headers: {}, body: Buffer.from('Authenticate') })
      .catch(() => 0)
    expect(await first).toMatchObject({ enrolled: true })
    expect(await phone.device.enroll({ profile: newer })).toMatchObject({ enrolled: false })
    expect((await one.attemptsOf(phone)).map(({ outcome }) => outcome)).toEqual(['enrolled'])
  })

  test("another device's profile is certificate_mismatch, and nobody is enrolled by it", async () => {
    const [mine, theirs] = [await one.phone(plain), await one.phone(plain)]
    const profile = await post(one, mine)
    const thief = await theirs.device.enroll({ profile })
    expect(thief).toMatchObject({ enrolled: false, step: 'authenticate' })
    expect(await one.attemptOf(mine)).toMatchObject({ outcome: 'rejected', reason: 'certificate_mismatch' })
    for (const { facts } of [mine, theirs])
      expect((await one.api('GET', `/devices/${facts.udid}`)).status).toBe(404)
    for (const phone of [mine, theirs]) expect((await phone.powerOn()).outcome).toBe('enrolled')
  })

  test('two servers assign together: the policy is defined once, and each device assigned once', async () => {
    const serials = Array.from({ length: 1_500 }, (_, index) => `BOTH${String(index).padStart(5, '0')}`)
    const admin = adeOperator(one)
    await admin.server('Both', serials)
    const policy = await one.policy()
    const from = one.fake.calls.length
    await Promise.all(
      [one, other, one, other].map((world, index) =>
        world.api('POST', `/enrollment-policies/${policy}/assign`, {
          serial_numbers: serials.filter((_, at) => at % 4 <= index),
        }),
      ),
    )
    await admin.until(() => serials.every((serial) => one.fake.device(serial).profileUuid !== undefined), 500)
    await admin.until(async () => (await admin.device(serials.at(-1)!)).assignment.state === 'assigned', 500)
    const done = one.fake.calls.slice(from).filter(({ status }) => status === 200)
    expect(done.filter(({ method, path }) => method === 'POST' && path === '/profile')).toHaveLength(1)
    expect(done.flatMap(({ serialNumbers }) => serialNumbers).toSorted()).toEqual(serials)
    expect(one.fake.violations).toEqual([])
  })
})
