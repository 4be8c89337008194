import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp, type Attempt } from '../support/ade-app.ts'
import { adeOperator, type AdeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.

const PASSWORD = 'right password'
const MINUTE = 60_000
const by = (userName: string, ...passwords: string[]) => ({
  person: { userName, passwords: passwords.length > 0 ? passwords : [PASSWORD] },
})
/** For phones that hear no push and answer when they are asked to. */
const DEAF = { register: () => undefined, strays: () => 0 }
const reasons = ({ timeline }: Attempt) => timeline.flatMap(({ reason }) => reason ?? [])

describe('phones as in Intune', () => {
  let database: TestDatabase
  let world: AdeApp
  let admin: AdeOperator
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: await openAgain(database) })
    admin = adeOperator(world)
  })
  afterAll(async () => {
    await world.close()
    await database.close()
  })

  const stateOf = async (phone: Phone) => (await admin.device(phone.facts.serialNumber)).state
  const deviceOf = async (phone: Phone) => (await world.api('GET', `/devices/${phone.facts.udid}`)).body
  const prompt = (ade: Record<string, unknown> = {}) => world.policy({ user_affinity: 'prompt', ade })

  /** Refused with an empty 403 and not a header that says why; the phone itself looks for hints in them. */
  async function isRefusedSilently(phone: Phone, reason: string): Promise<Attempt> {
    const result = await phone.powerOn()
    expect(result).toMatchObject({ outcome: 'refused', httpStatus: 403 })
    expect(result.screen).toMatch(/^The configuration for your .* could not be downloaded from/)
    expect(phone.violations()).toEqual([])
    const attempt = await world.attemptOf(phone)
    expect(attempt).toMatchObject({ outcome: 'rejected', reason })
    expect(reasons(attempt)).toContain(reason)
    const events = await world.eventsOf(attempt.id)
    expect(events.map(({ reason: told }) => told)).toContain(reason)
    expect(world.logReasons()).toContain(reason)
    expect(await world.counted(reason)).toBeGreaterThan(0)
    return attempt
  }

  test('without user affinity nobody is asked: out of the box and enrolled', async () => {
    const phone = await world.phone(await world.policy())
    expect(await stateOf(phone)).toBe('not_contacted')
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'native', signInTries: 0 })
    expect(await stateOf(phone)).toBe('enrolled')
    await admin.until(async () => (await deviceOf(phone)).supervised === true, 1_000)
    expect(await deviceOf(phone)).toMatchObject({ user_name: null, state: 'enrolled', type: 'device' })
    expect(phone.violations()).toEqual([])
  })

  test('with user affinity the native form asks until name and password are right', async () => {
    await world.user('nora')
    const phone = await world.phone(await prompt(), by('NORA', 'wrong', PASSWORD))
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', signInTries: 2 })
    expect(await deviceOf(phone)).toMatchObject({ user_name: 'nora' })
    expect(phone.violations()).toEqual([])
  })

  test('the web sign-in of a policy ends with the profile', async () => {
    await world.user('willy')
    const phone = await world.phone(await prompt({ sign_in: 'web' }), by('willy', 'wrong', PASSWORD))
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'web', signInTries: 2 })
    expect(phone.violations()).toEqual([])
  })

  test('over the device limit the refusal is silent for the device and loud for the administrator', async () => {
    const limited = await world.user('lena', { device_limit: 1 })
    const policy = await prompt()
    const first = await world.phone(policy, by('lena'))
    expect((await first.powerOn()).outcome).toBe('enrolled')
    const second = await world.phone(policy, by('lena'))
    const attempt = await isRefusedSilently(second, 'device_limit_exceeded')
    expect(attempt.user_name).toBe('lena')
    expect(attempt.timeline.at(-1)).toMatchObject({
      ...{ step: 'device_limit', outcome: 'refused', detail: { count: 1, limit: 1 } },
    })
    const told = await admin.event('enrollment.rejected', ({ attempt_id: id }) => id === attempt.id)
    expect(told).toMatchObject({ user_name: 'lena', data: { count: 1, limit: 1 } })
    expect(told.serial_number).toBe(second.facts.serialNumber)
    expect(limited).toBeTypeOf('string')
  })

  test('the same device enrolling again takes no second place', async () => {
    await world.user('again', { device_limit: 1 })
    const phone = await world.phone(await prompt(), by('again'))
    for (let round = 0; round < 3; round++) {
      expect((await phone.powerOn()).outcome).toBe('enrolled')
      phone.erase()
    }
    expect((await world.api('GET', '/devices?user_name=again')).body.items).toHaveLength(1)
  })

  test('CheckOut, unenroll and deletion each free a place', async () => {
    await world.user('frida', { device_limit: 1 })
    const policy = await prompt()
    const next = async () => {
      const phone = await world.phone(policy, { ...by('frida'), pushes: DEAF })
      expect((await phone.powerOn()).outcome).toBe('enrolled')
      return phone
    }
    const first = await next()
    await isRefusedSilently(await world.phone(policy, by('frida')), 'device_limit_exceeded')
    await first.device.checkOut()
    expect(await stateOf(first)).toBe('unenrolled')
    const second = await next()
    await second.poll()
    await world.api('POST', `/devices/${second.facts.udid}/unenroll`)
    await isRefusedSilently(await world.phone(policy, by('frida')), 'device_limit_exceeded')
    await second.poll()
    const third = await next()
    expect((await world.api('DELETE', `/devices/${third.facts.udid}`)).status).toBe(409)
    expect((await world.api('DELETE', `/devices/${third.facts.udid}?force=true`)).status).toBe(204)
    await next()
  })

  test('devices of all ways count against the limit, from Authenticate on; a profile handed out takes no place', async () => {
    await world.user('wide', { device_limit: 2 })
    const policy = await prompt()
    const { url } = (await world.api('POST', '/enrollment-links', { uses: 9, user_name: 'wide' })).body
    const link = world.url + new URL(url).pathname
    const [linked, late] = [world.device(), world.device()]
    const [one, two] = [await world.phone(policy, by('wide')), await world.phone(policy, by('wide'))]
    expect((await fetch(link)).status).toBe(200)
    expect((await linked.enroll({ url: link })).enrolled).toBe(true)
    expect((await one.powerOn()).outcome).toBe('enrolled')
    await isRefusedSilently(two, 'device_limit_exceeded')
    expect(await late.enroll({ url: link })).toMatchObject({ enrolled: false, step: 'authenticate' })
    await linked.checkOut()
    world.clock.advance(1)
    expect((await two.powerOn()).outcome).toBe('enrolled')
  })

  test('with `explain` the web flow tells the person of the limit; silent says nothing of it', async () => {
    await world.user('emil', { device_limit: 0 })
    const policy = await prompt({ sign_in: 'web' })
    const neutral = await (await world.phone(policy, by('emil'))).powerOn()
    expect(neutral.outcome).toBe('refused')
    expect(neutral.screen).not.toMatch(/too many|limit/i)
    await world.api('PATCH', '/settings', { device_limit_message: 'explain' })
    const told = await (await world.phone(policy, by('emil'))).powerOn()
    await world.api('PATCH', '/settings', { device_limit_message: 'silent' })
    expect(told.screen).toMatch(/^You have too many devices: You have 0 of 0 devices/)
    const native = await world.phone(await prompt(), by('emil'))
    await isRefusedSilently(native, 'device_limit_exceeded')
  })

  test('an enrollment manager may not enrol devices this way', async () => {
    await world.user('manager', { enrollment_manager: true })
    const phone = await world.phone(await prompt(), by('manager'))
    await isRefusedSilently(phone, 'enrollment_manager_not_allowed')
  })

  test('expired and must-change passwords are not prompted for natively, and the timeline says which', async () => {
    await world.user('expired', { password_expires_at: '2020-01-01T00:00:00Z' })
    await world.user('changer', { must_change_password: true })
    const policy = await prompt()
    for (const [name, reason] of [
      ['expired', 'password_expired'],
      ['changer', 'password_change_required'],
    ] as const) {
      const phone = await world.phone(policy, by(name))
      expect(await phone.powerOn()).toMatchObject({ outcome: 'refused', httpStatus: 401, signInTries: 1 })
      const attempt = await world.attemptOf(phone)
      expect(attempt.outcome).toBe('in_progress')
      expect(reasons(attempt)).toEqual(['sign_in_required', reason])
      expect(phone.violations()).toEqual([])
    }
    const phone = await world.phone(await prompt({ sign_in: 'web' }), {
      person: { userName: 'changer', passwords: [PASSWORD], newPassword: 'a fresh and long one' },
    })
    expect((await phone.powerOn()).outcome).toBe('enrolled')
  })

  test('without a valid push certificate enrolling is refused, and says so', async () => {
    const phone = await world.phone(await world.policy())
    const [row] = await database.kysely.selectFrom('push_certificates').selectAll().execute()
    const past = new Date(world.clock.now().getTime() - MINUTE)
    await database.kysely.updateTable('push_certificates').set({ not_after: past }).execute()
    world.clock.advance(MINUTE)
    await admin.until(async () => (await phone.powerOn()).outcome === 'refused', 5_000)
    await isRefusedSilently(phone, 'push_certificate_missing')
    await database.kysely.updateTable('push_certificates').set({ not_after: row!.not_after }).execute()
    await admin.until(async () => (await phone.powerOn()).outcome === 'enrolled', 5_000)
  })

  test('below the minimum OS a phone that can updates itself; one that cannot gets an empty 403', async () => {
    const policy = await world.policy({ ade: { minimum_os_version: '18.3' } })
    const old = { osVersion: '17.4', buildVersion: '21E213' }
    const able = await world.phone(policy, { facts: old, newestOs: '18.5' })
    expect(await able.powerOn()).toMatchObject({ outcome: 'enrolled', updatedTo: '18.3' })
    expect((await world.attemptsOf(able)).flatMap(reasons)).toContain('os_update_required')
    expect(able.violations()).toEqual([])
    const unable = await world.phone(policy, { facts: old })
    await isRefusedSilently(unable, 'os_update_required')
    expect(unable.facts.osVersion).toBe('17.4')
  })

  test('a blocked device is refused until it is unblocked', async () => {
    const phone = await world.phone(await world.policy())
    const path = `/ade-devices/${phone.facts.serialNumber}`
    expect((await world.api('POST', `${path}/block`)).body.state).toBe('blocked')
    await isRefusedSilently(phone, 'blocked')
    await world.api('POST', `${path}/unblock`)
    world.clock.advance(1)
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    expect(await stateOf(phone)).toBe('enrolled')
  })

  test('a device of another policy is not_assigned, and one that was sold an unknown_serial', async () => {
    const [policy, other] = [await world.policy(), await world.policy()]
    const phone = await world.phone(policy)
    const { url } = world.activation(phone)
    await world.assign(other, [phone.facts.serialNumber])
    const stale = await world.stranger({ facts: phone.facts, activate: () => undefined })
    expect((await stale.powerOn()).outcome).toBe('unmanaged')
    const activate = (profile: string) => () => ({
      ...{ uuid: 'A', organization: 'Example AG', content: { ...world.fake.profile(profile), url } },
    })
    const uuid = world.fake.device(phone.facts.serialNumber).profileUuid!
    const late = await world.stranger({ facts: phone.facts, activate: activate(uuid) })
    await isRefusedSilently(late, 'not_assigned')
    const unknown = await world.stranger({ activate: activate(uuid) })
    await isRefusedSilently(unknown, 'unknown_serial')
  })

  test('the dynamic group of a policy has its members from enrolment on and is renamed with it', async () => {
    const { body: own } = await world.api('POST', '/groups', { name: `Static ${Math.random()}` })
    const name = `Policy ${Math.random()}`
    const policy = await world.policy({ name, group_id: own.id })
    const groups = async () => (await world.api('GET', '/groups?limit=1000')).body.items
    const dynamic = (await groups()).find(({ policy_id: id }: { policy_id: string }) => id === policy)
    expect(dynamic).toMatchObject({ name: `EnrollmentProfile:${name}`, kind: 'dynamic', member_count: 0 })
    const members = async (id: string) =>
      (await world.api('GET', `/groups/${id}/members`)).body.items.map((each: { id: string }) => each.id)
    const phone = await world.phone(policy)
    expect(await members(dynamic.id)).toEqual([])
    await phone.powerOn()
    expect(await members(own.id)).toEqual([phone.facts.udid])
    await world.until(async () => (await members(dynamic.id)).length > 0, 50)
    expect(await members(dynamic.id)).toEqual([phone.facts.udid])
    await world.api('PATCH', `/enrollment-policies/${policy}`, { name: `${name} renamed` })
    const { body: renamed } = await world.api('GET', `/groups/${dynamic.id}`)
    expect(renamed.name).toBe(`EnrollmentProfile:${name} renamed`)
    await phone.device.checkOut()
    await world.until(async () => (await members(dynamic.id)).length === 0, 50)
    expect(await members(own.id)).toEqual([])
  })

  test('a changed policy tells of each device whether Apple has it and whether the device runs with it', async () => {
    const policy = await world.policy({ ade: { locked: false } })
    const phone = await world.phone(policy)
    const facts = async () => {
      const device = await admin.device(phone.facts.serialNumber)
      return [device.profile_current_at_apple, device.device_runs_current_profile]
    }
    await phone.powerOn()
    expect(await facts()).toEqual([true, true])
    await world.api('PATCH', `/enrollment-policies/${policy}`, { ade: { locked: true } })
    await admin.until(async () => (await facts()).join() === 'true,false', 500)
    expect((await admin.device(phone.facts.serialNumber)).note).toContain('erased')
    phone.erase()
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    expect(await facts()).toEqual([true, true])
  })

  describe('a device that its user enrolled and whose serial number is then imported and given a policy', () => {
    test('is unenrolled with its reason, once, and can enrol anew', async () => {
      const policy = await world.policy()
      const phone = await world.stranger()
      const { serialNumber: serial, udid } = phone.facts
      expect((await phone.device.enroll({ url: await viaServer() })).enrolled).toBe(true)
      const attempt = await world.attemptOf(phone)
      world.clock.advance(MINUTE)
      world.fake.portal.addDevices([serial], 'Phones')
      await admin.sync(world.serverId)
      expect(await deviceOf(phone)).toMatchObject({ state: 'enrolled' })
      world.clock.advance(MINUTE)
      await world.assign(policy, [serial])
      await admin.until(async () => {
        await phone.poll()
        return phone.device.status() !== 'enrolled'
      }, 1_000)
      expect((await deviceOf(phone)).state).toBe('unenrolled')
      const closed = (await world.api('GET', `/enrollment-attempts/${attempt.id}`)).body
      expect(closed.timeline.at(-1)).toMatchObject({ step: 'unenroll', reason: 'unenrolled_by_assignment' })
      const { body } = await world.api('GET', '/enrollment-attempts?reason=unenrolled_by_assignment')
      expect(body.items.filter(({ id }: { id: string }) => id === attempt.id)).toHaveLength(1)

      phone.erase()
      expect((await phone.powerOn()).outcome).toBe('enrolled')
      await world.api('POST', `/enrollment-policies/${policy}/assign`, { serial_numbers: [serial] })
      await admin.until(() => true, 10_000)
      await phone.poll()
      expect(await deviceOf(phone)).toMatchObject({ state: 'enrolled', policy_id: policy, id: udid })
    })

    test('is unenrolled too when the sync itself gives it the default policy; one enrolled after that is not', async () => {
      const policy = await world.policy()
      const [before, after] = [await world.stranger(), await world.stranger()]
      const serials = [before, after].map(({ facts }) => facts.serialNumber)
      expect((await before.device.enroll({ url: await viaServer() })).enrolled).toBe(true)
      await world.api('PUT', `/ade-servers/${world.serverId}/default-policy`, { policy_id: policy })
      world.clock.advance(MINUTE)
      world.fake.portal.addDevices(serials, 'Phones')
      await admin.sync(world.serverId)
      await world.api('PUT', `/ade-servers/${world.serverId}/default-policy`, { policy_id: null })
      world.clock.advance(MINUTE)
      expect((await after.device.enroll({ url: await viaServer() })).enrolled).toBe(true)
      await admin.until(async () => {
        await before.poll()
        return before.device.status() !== 'enrolled'
      }, 1_000)
      for (let round = 0; round < 5; round++) await world.pass(2_000)
      await after.poll()
      expect([(await deviceOf(before)).state, (await deviceOf(after)).state]).toEqual([
        'unenrolled',
        'enrolled',
      ])
    })

    test('an enrollment that came by itself at power-on is never unenrolled by another policy', async () => {
      const [policy, other] = [await world.policy(), await world.policy()]
      const phone = await world.phone(policy)
      await phone.powerOn()
      world.clock.advance(MINUTE)
      await world.assign(other, [phone.facts.serialNumber])
      for (let round = 0; round < 5; round++) await world.pass(2_000)
      await phone.poll()
      expect(await deviceOf(phone)).toMatchObject({ state: 'enrolled', policy_id: policy })
      expect(phone.device.results().some(({ requestType }) => requestType === 'RemoveProfile')).toBe(false)
    })

    async function viaServer(): Promise<string> {
      return world.url + new URL(await world.link()).pathname
    }
  })

  test('await_device_configured: released when its first commands are done', async () => {
    const phone = await world.phone(await world.policy({ ade: { await_device_configured: true } }))
    const going = phone.powerOn()
    let result: Awaited<typeof going> | undefined
    void going.then((value) => (result = value))
    await admin.until(() => result !== undefined, 1_000)
    expect(result).toMatchObject({ outcome: 'enrolled', awaitedConfiguration: true })
    expect(phone.violations()).toEqual([])
    await admin.until(async () => (await world.attemptOf(phone)).timeline.at(-1)!.step === 'configured', 500)
    expect((await world.attemptOf(phone)).timeline.at(-1)!.detail).toMatchObject({
      released_by: 'commands_done',
    })
  })
})
