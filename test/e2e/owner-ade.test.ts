import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createFakeAppleCa, type Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { basicHeader, machineInfoOf } from '../support/ade-machine-info.ts'
import { describeOnEngine, openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { halfEnrolled, identityOf } from '../support/half-enrolled.ts'
import { ownerWorld } from '../support/owner-world.ts'
import { putMessage } from '../support/app.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.
vi.setConfig({ testTimeout: 60_000 })

const PASSWORD = 'right password'

describeOnEngine('postgres', 'the owner of an enrollment at power-on', (database) => {
  let world: AdeApp
  let at: ReturnType<typeof ownerWorld>
  let plain: string
  let prompt: string
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
    at = ownerWorld(world, database)
    plain = await world.policy()
    prompt = await world.policy({ user_affinity: 'prompt' })
    await world.user('ada')
    await world.user('mallory')
  })
  afterAll(() => world.close())

  const person = (userName: string) => ({ userName, passwords: [PASSWORD] })
  const enrolled = async (policy = plain, wishes: Parameters<AdeApp['phone']>[1] = {}): Promise<Phone> => {
    const phone = await world.phone(policy, wishes)
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    await phone.idle()
    await world.introduced(phone.device)
    return phone
  }
  /** A phone that Apple would activate as the one with this serial number. */
  const likeness = (phone: Phone, facts: Partial<Phone['facts']>) =>
    world.stranger({ facts: { ...phone.facts, ...facts } })
  const post = async (of: Phone, as: Phone, headers = {}): Promise<Buffer> => {
    const body = new Uint8Array(await machineInfoOf(as, world.ca))
    const answer = await fetch(world.activation(of).url, { method: 'POST', headers, body })
    return Buffer.from(await answer.arrayBuffer())
  }
  const adeDevice = async (phone: Phone) =>
    (await world.api('GET', `/ade-devices/${phone.facts.serialNumber}`)).body
  const byLink = async (phone: Phone, fields: Record<string, unknown> = {}, facts = {}) =>
    at.claim(phone.device, await at.link(fields), facts)

  test('a supervised phone is not taken by a link of anybody, its own person included', async () => {
    const phone = await enrolled(prompt, { person: person('ada') })
    const { udid, serialNumber } = phone.facts
    const first = await world.attemptOf(phone)
    // What follows from its enrolment is over: it has told what it is, and the code that bypasses its Activation Lock.
    const asked = ['DeviceInformation', 'ActivationLockBypassCode']
    await world.until(
      async () =>
        asked.every((type) => phone.device.results().some(({ requestType }) => requestType === type)) &&
        (await at.state(udid)).pending.length === 0,
      1_000,
    )
    const before = await at.state(udid)
    for (const user_name of ['mallory', null, 'ada']) {
      world.clock.advance(6_000)
      expect((await byLink(phone, { user_name })).enrolled).toBe(false)
      const claimant = { user_name, way: 'link', attempt_id: expect.any(String) }
      expect((await at.events('enrollment.takeover_refused', udid)).at(-1)).toMatchObject({
        ...{ serial_number: serialNumber, reason: 'owned_by_another' },
        data: { owner: { user_name: 'ada', way: 'ade', attempt_id: first.id }, claimant },
      })
    }
    expect(await at.state(udid)).toEqual(before)
    expect(await adeDevice(phone)).toMatchObject({ state: 'enrolled', other_enrollments: [] })
    await phone.poll()
    expect(phone.violations()).toEqual([])
  })

  test('the phone itself comes again at power-on, for its person or for another', async () => {
    const phone = await enrolled(prompt, { person: person('ada') })
    for (const name of ['ada', 'mallory']) {
      phone.erase()
      expect((await phone.powerOn(person(name))).outcome).toBe('enrolled')
      await phone.idle()
      expect(await at.shown(phone.facts.udid)).toMatchObject({ state: 'enrolled', user_name: name })
    }
    expect(phone.violations()).toEqual([])
    expect(await at.events('enrollment.takeover_refused', phone.facts.udid)).toEqual([])
  })

  test('what came by a link is taken by the phone itself at power-on, also from another person', async () => {
    const phone = await world.phone(plain)
    expect((await byLink(phone, { user_name: 'mallory' })).enrolled).toBe(true)
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    await phone.idle()
    expect(await at.shown(phone.facts.udid)).toMatchObject({ user_name: null, policy_id: plain })
    expect(await adeDevice(phone)).toMatchObject({ state: 'enrolled', other_enrollments: [] })
  })

  test('a phone of ours that says it has the UDID of another one does not get its place', async () => {
    const victim = await enrolled(prompt, { person: person('ada') })
    const own = await world.phone(plain)
    const before = await at.state(victim.facts.udid)
    for (const udid of [victim.facts.udid, victim.facts.udid.toLowerCase()]) {
      world.clock.advance(6_000)
      const thief = await likeness(own, { udid })
      expect(await thief.powerOn()).toMatchObject({ outcome: 'refused', httpStatus: 403 })
      expect(await world.attemptOf(own)).toMatchObject({ outcome: 'rejected', reason: 'owned_by_another' })
    }
    expect(await at.state(victim.facts.udid)).toEqual(before)
    const lie = await halfEnrolled(world, 'certificate', await at.link({ user_name: 'mallory' }))
    for (const SerialNumber of [victim.facts.serialNumber, own.facts.serialNumber, undefined]) {
      const keys = { MessageType: 'Authenticate', UDID: victim.facts.udid, SerialNumber }
      expect((await at.say(lie, keys)).status).toBe(403)
    }
    expect(await at.state(victim.facts.udid)).toEqual(before)
  })

  test('a link or the page enrols a serial number of ours, which is told and shown, and marks it as nothing', async () => {
    for (const state of ['not_contacted', 'enrolled'] as const) {
      const phone = state === 'enrolled' ? await enrolled() : await world.phone(plain)
      const { serialNumber } = phone.facts
      const { device, enrolled: isIn } = await byLink(
        phone,
        { user_name: 'mallory' },
        { udid: `OTHER-${state}` },
      )
      expect(isIn).toBe(true)
      const claims = await at.events('ade_device.claimed', device.facts.udid)
      expect(claims).toMatchObject([
        {
          serial_number: serialNumber,
          user_name: 'mallory',
          data: { way: 'link' },
          attempt_id: expect.any(String),
        },
      ])
      expect(await adeDevice(phone)).toMatchObject({ state, other_enrollments: [device.facts.udid] })
      const listed = (await world.api('GET', '/ade-devices?limit=1000')).body.items
      expect(
        listed.find((each: { serial_number: string }) => each.serial_number === serialNumber)
          .other_enrollments,
      ).toEqual([device.facts.udid])
      await device.checkOut()
      expect(await adeDevice(phone)).toMatchObject({ state, unenrolled_at: null, other_enrollments: [] })
    }
  })

  test('a phone whose link enrollment takes the place of its own by an operator’s word is unenrolled at Apple’s list', async () => {
    const phone = await enrolled()
    await world.api('POST', `/devices/${phone.facts.udid}/allow-re-enrollment`)
    world.clock.advance(1)
    expect((await byLink(phone)).enrolled).toBe(true)
    expect(await adeDevice(phone)).toMatchObject({
      ...{ state: 'unenrolled', other_enrollments: [phone.facts.udid] },
    })
  })

  test('a block is judged again at Authenticate, on every way and in every spelling', async () => {
    const phone = await world.phone(plain)
    const { serialNumber, udid } = phone.facts
    const profile = await post(phone, phone)
    const waiting = await halfEnrolled(world, 'certificate', await at.link())
    expect((await world.api('POST', `/ade-devices/${serialNumber}/block`)).status).toBe(200)
    const late = await phone.device.enroll({ profile })
    expect(late).toMatchObject({ enrolled: false, step: 'authenticate' })
    expect(await world.attemptOf(phone)).toMatchObject({ outcome: 'rejected', reason: 'blocked' })
    for (const SerialNumber of [serialNumber, serialNumber.toLowerCase()]) {
      const device = SerialNumber === serialNumber ? waiting : await at.certified(await at.link())
      const keys = { MessageType: 'Authenticate', UDID: udid, SerialNumber }
      expect((await at.say(device, keys)).status).toBe(403)
      expect((await at.say(device, keys)).status).toBe(403)
    }
    expect((await world.api('GET', `/devices/${udid}`)).status).toBe(404)
    await world.api('POST', `/ade-devices/${serialNumber}/unblock`)
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    // Once it has shown what it is, it is known by its UDID too.
    await phone.idle()
    await phone.device.checkOut()
    await world.api('POST', `/ade-devices/${serialNumber}/block`)
    for (const SerialNumber of [undefined, 'ANOTHER']) {
      const keys = { MessageType: 'Authenticate', UDID: udid, SerialNumber }
      expect((await at.say(await at.certified(await at.link()), keys)).status).toBe(403)
    }
    expect(await at.shown(udid)).toMatchObject({ state: 'unenrolled' })
  })

  test('a serial number that comes back with another UDID frees its place from the post on, and ends the old one at Authenticate', async () => {
    await world.user('nora', { device_limit: 1 })
    const phone = await enrolled(prompt, { person: person('nora') })
    const { udid, serialNumber } = phone.facts
    const repaired = await likeness(phone, { udid: '00008999-00FFFFFFFFFFFF01' })
    const profile = await post(phone, repaired, basicHeader(`nora:${PASSWORD}`))
    expect(await at.shown(udid)).toMatchObject({ state: 'enrolled' })
    const done = await repaired.device.enroll({ profile })
    expect(done.enrolled).toBe(true)
    expect(await at.shown(udid)).toMatchObject({
      state: 'unenrolled',
      unenroll_reason: 'serial_number_moved',
    })
    expect(await at.shown(repaired.facts.udid)).toMatchObject({ state: 'enrolled', user_name: 'nora' })
    expect(await adeDevice(phone)).toMatchObject({ state: 'enrolled', other_enrollments: [] })
    // The old one may be the honest one: it is told nothing that would make it drop its profile.
    const idle = { Status: 'Idle', UDID: udid }
    for (let count = 0; count < 2; count++)
      expect(await putMessage(`${world.url}/mdm`, idle, { signer: identityOf(phone.device) })).toMatchObject({
        ...{ status: 403, body: Buffer.alloc(0) },
      })
    expect(await at.events('enrollment.contested', udid)).toMatchObject([{ serial_number: serialNumber }])
    // The limit is exact all the same.
    const third = await world.phone(prompt, { person: person('nora') })
    expect((await third.powerOn()).outcome).toBe('refused')
  })

  test('a copy of what the device said before its UDID changed frees no place', async () => {
    await world.user('nell', { device_limit: 1 })
    const phone = await world.phone(prompt, { person: person('nell') })
    const old = new Uint8Array(await machineInfoOf(phone, world.ca))
    const headers = basicHeader(`nell:${PASSWORD}`)
    const postOld = async () => {
      const answer = await fetch(world.activation(phone).url, { method: 'POST', headers, body: old })
      return Buffer.from(await answer.arrayBuffer())
    }
    expect((await phone.device.enroll({ profile: await postOld() })).enrolled).toBe(true)
    world.clock.advance(60_000)
    const repaired = await likeness(phone, { udid: '00008999-00FFFFFFFFFFFF03' })
    const profile = await post(phone, repaired, headers)
    expect((await repaired.device.enroll({ profile })).enrolled).toBe(true)
    world.clock.advance(60_000)
    await postOld()
    const other = await world.phone(prompt, { person: person('nell') })
    expect((await other.powerOn()).outcome).toBe('refused')
    expect(await at.shown(repaired.facts.udid)).toMatchObject({ state: 'enrolled' })
  })

  test('after the post another phone of the person may have the place, and the repaired one has to wait then', async () => {
    await world.user('nils', { device_limit: 1 })
    const phone = await enrolled(prompt, { person: person('nils') })
    const repaired = await likeness(phone, { udid: '00008999-00FFFFFFFFFFFF02' })
    await post(phone, repaired)
    const other = await world.phone(prompt, { person: person('nils') })
    expect((await other.powerOn()).outcome).toBe('enrolled')
    expect((await repaired.powerOn(person('nils'))).outcome).toBe('refused')
    expect(await at.shown(phone.facts.udid)).toMatchObject({ state: 'enrolled' })
    // The old one comes after all, and is as before.
    phone.erase()
    await other.device.checkOut()
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    expect(
      (await world.phone(prompt, { person: person('nils') }).then((each) => each.powerOn())).outcome,
    ).toBe('refused')
  })
})

describe.each(['log', 'off'])('MachineInfo that nobody trusts, under %s', (mode) => {
  let database: TestDatabase
  let world: AdeApp
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({
      db: await openAgain(database),
      settings: { FIRSTBOOT_MACHINE_INFO_TRUST: mode },
    })
  }, 60_000)
  afterAll(async () => {
    await world.close()
    await database.close()
  })

  test('it lets the same device in again, but ends nothing for the sake of its serial number', async () => {
    const at = ownerWorld(world, () => database)
    const stranger = await createFakeAppleCa(world.clock.now())
    const phone = await world.phone(await world.policy())
    const { serialNumber, udid } = phone.facts
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    await phone.idle()
    const likeness = async (facts: Partial<Phone['facts']>) => {
      const signer = { identity: await stranger.deviceIdentity(serialNumber), chain: stranger.chain }
      const made = await world.stranger({ facts: { ...phone.facts, ...facts }, ...signer })
      return (await made.powerOn()).outcome
    }
    expect(await likeness({ udid: '00008999-00FFFFFFFFFFFF03' })).toBe('enrolled')
    expect(await at.shown(udid)).toMatchObject({ state: 'enrolled' })
    expect(await likeness({})).toBe('enrolled')
    expect(await at.shown(udid)).toMatchObject({ state: 'enrolled', token_update_tally: 1 })
    expect(await at.events('enrollment.takeover_refused')).toEqual([])
  })
})
