import { afterAll, beforeAll, expect, test } from 'vitest'
import { signMachineInfo } from '../../../src/protocol/ade/index.ts'
import { createFakeAppleCa, type Phone } from '../../../src/simulator/index.ts'
import { startAdeApp, type AdeApp, type Attempt } from '../../support/ade-app.ts'
import { describeOnEngine } from '../../support/database.ts'

const PASSWORD = 'right password'

/** The steps of an attempt in short: `sign_in`, or `sign_in!invalid_credentials` for a refused one. */
const steps = ({ timeline }: Attempt) =>
  timeline.map(({ step, outcome, reason }) => (outcome === 'passed' ? step : `${step}!${reason}`))

describeOnEngine('postgres', 'power-on', (database) => {
  let world: AdeApp
  let open: string
  let native: string
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
    open = await world.policy()
    native = await world.policy({ user_affinity: 'prompt', ade: { department: 'Sales "IT"' } })
  })
  afterAll(() => world.close())

  const post = async (
    phone: Phone,
    headers: Record<string, string> = {},
    info: Record<string, string> = {},
  ) => {
    const { facts } = phone
    // Ids of the same millisecond have no order.
    world.clock.advance(1)
    const body = await signMachineInfo(
      {
        UDID: facts.udid,
        SERIAL: facts.serialNumber,
        PRODUCT: facts.productName,
        VERSION: facts.buildVersion,
        OS_VERSION: facts.osVersion,
        ...info,
      },
      await world.ca.deviceIdentity(facts.serialNumber),
      { chain: world.ca.chain },
    )
    return send(world.activation(phone).url, body, headers)
  }
  const send = async (url: string, body: Uint8Array, headers: Record<string, string> = {}) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/pkcs7-signature', ...headers },
      body: new Uint8Array(body),
    })
    return {
      status: response.status,
      headers: response.headers,
      body: Buffer.from(await response.arrayBuffer()),
    }
  }
  const expectSilence = (answer: Awaited<ReturnType<typeof send>>) => {
    expect(answer.status).toBe(403)
    expect(answer.body.length).toBe(0)
    expect([...answer.headers.keys()].toSorted()).toEqual(
      ['cache-control', 'connection', 'content-length', 'content-type', 'date', 'keep-alive'].toSorted(),
    )
    expect(answer.headers.get('content-type')).toContain('text/plain')
  }
  const basic = (name: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
  })

  test('a phone of a policy without users enrols by itself', async () => {
    const phone = await world.phone(open)
    const result = await phone.powerOn()
    expect(result).toMatchObject({ outcome: 'enrolled', way: 'native', signInTries: 0 })
    const attempt = await world.attemptOf(phone)
    expect(attempt).toMatchObject({ way: 'ade', outcome: 'enrolled', policy_id: open, user_name: null })
    expect(steps(attempt)).toEqual([
      'contact',
      'assignment',
      'profile',
      'certificate',
      'authenticate',
      'token_update',
    ])
    const device = (await world.api('GET', `/devices/${phone.facts.udid}`)).body
    expect(device).toMatchObject({ policy_id: open, state: 'enrolled' })
    const serial = (await world.api('GET', `/ade-devices/${phone.facts.serialNumber}`)).body
    expect(serial).toMatchObject({ state: 'enrolled', device_runs_current_profile: true })
    expect((await world.api('GET', `/ade-devices/${phone.facts.serialNumber}`)).body.state).toBe('enrolled')
    const groups = (await world.api('GET', '/groups')).body.items as {
      id: string
      policy_id: string | null
    }[]
    const group = groups.find(({ policy_id: id }) => id === open)
    const members = async () =>
      (await world.api('GET', `/groups/${group?.id}/members`)).body.items as { id: string }[]
    await world.until(async () => (await members()).some(({ id }) => id === phone.facts.udid), 50)
    expect(phone.violations()).toEqual([])
  })

  test('a wrong password brings the form again in the same attempt; the right one the profile', async () => {
    await world.user('ada@example.com')
    const phone = await world.phone(native, {
      person: { userName: 'ada@example.com', passwords: ['wrong', 'wrong again', PASSWORD] },
    })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', signInTries: 3 })
    const [attempt, ...others] = await world.attemptsOf(phone)
    expect(others).toEqual([])
    expect(steps(attempt!)).toEqual([
      'contact',
      'assignment',
      'sign_in!sign_in_required',
      'sign_in!invalid_credentials',
      'sign_in!invalid_credentials',
      'sign_in',
      'device_limit',
      'profile',
      'certificate',
      'device_limit',
      'authenticate',
      'token_update',
    ])
    expect(attempt).toMatchObject({ outcome: 'enrolled', reason: null, user_name: 'ada@example.com' })
    const events = await world.eventsOf(attempt!.id)
    expect(
      events.filter(({ type }) => type === 'enrollment.sign_in_refused').map(({ reason }) => reason),
    ).toEqual(['sign_in_required', 'invalid_credentials', 'invalid_credentials'])
    expect(phone.violations()).toEqual([])
  })

  test.each([
    ['user_disabled', { disabled: true }],
    ['password_expired', { password_expires_at: '2020-01-01T00:00:00Z' }],
    ['password_change_required', { must_change_password: true }],
  ])('%s asks again, and says why to the administrator alone', async (reason, fields) => {
    const name = `${reason}@example.com`
    await world.user(name, fields)
    const phone = await world.phone(native)
    const answer = await post(phone, basic(name, PASSWORD))
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="Sales IT", charset="UTF-8"')
    expect(answer.body.length).toBe(0)
    const attempt = await world.attemptOf(phone)
    expect(attempt).toMatchObject({ outcome: 'in_progress', reason: null })
    expect(attempt.timeline.at(-1)).toMatchObject({ step: 'sign_in', outcome: 'refused', reason })
    expect(await world.counted(reason)).toBeGreaterThan(0)
  })

  test('a name that nobody has, and a header without a colon, ask again too', async () => {
    const phone = await world.phone(native)
    expect((await post(phone, basic('nobody@example.com', 'secret of nobody'))).status).toBe(401)
    expect(
      (await post(phone, { authorization: `Basic ${Buffer.from('nocolon').toString('base64')}` })).status,
    ).toBe(401)
    expect((await post(phone, { authorization: 'Bearer something' })).status).toBe(401)
    const attempt = await world.attemptOf(phone)
    expect(steps(attempt).filter((step) => step.startsWith('sign_in'))).toEqual([
      'sign_in!user_unknown',
      'sign_in!invalid_credentials',
      'sign_in!invalid_credentials',
    ])
    expect(attempt.user_name).toBe('nobody@example.com')
    expect(world.logText()).not.toContain('secret of nobody')
    expect(world.logText()).not.toContain(
      Buffer.from('nobody@example.com:secret').toString('base64').slice(0, 24),
    )
  })

  test('who fails too often waits, though the attempt stays open', async () => {
    await world.user('grace@example.com')
    const phone = await world.phone(native)
    for (let left = 10; left > 0; left--)
      expect((await post(phone, basic('grace@example.com', 'wrong'))).status).toBe(401)
    const late = await post(phone, basic('grace@example.com', PASSWORD))
    expect(late.status).toBe(429)
    expect(Number(late.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await world.attemptOf(phone)).toMatchObject({
      outcome: 'in_progress',
      user_name: 'grace@example.com',
    })
    expect((await world.attemptOf(phone)).timeline.at(-1)).toMatchObject({ reason: 'too_many_failures' })
    expect(await world.counted('too_many_failures')).toBeGreaterThan(0)
    world.clock.advance(31_000)
    expect((await post(phone, basic('grace@example.com', PASSWORD))).status).toBe(200)
  })

  test('an enrollment manager may not enrol such a device', async () => {
    await world.user('manager@example.com', { enrollment_manager: true })
    const phone = await world.phone(native)
    expectSilence(await post(phone, basic('manager@example.com', PASSWORD)))
    expect(await world.attemptOf(phone)).toMatchObject({
      outcome: 'rejected',
      reason: 'enrollment_manager_not_allowed',
      user_name: 'manager@example.com',
    })
  })

  test('over the limit the phone hears nothing, and the administrator everything', async () => {
    await world.user('limited@example.com', { device_limit: 1 })
    const person = { userName: 'limited@example.com', passwords: [PASSWORD] }
    const first = await world.phone(native, { person })
    expect(await first.powerOn()).toMatchObject({ outcome: 'enrolled' })
    const second = await world.phone(native, { person })
    expect(await second.powerOn()).toMatchObject({ outcome: 'refused', httpStatus: 403 })
    expectSilence(await post(second, basic('limited@example.com', PASSWORD)))
    expect(second.violations()).toEqual([])
    const attempt = await world.attemptOf(second)
    expect(attempt).toMatchObject({ outcome: 'rejected', reason: 'device_limit_exceeded' })
    expect(attempt.timeline.at(-1)).toMatchObject({ step: 'device_limit', detail: { count: 1, limit: 1 } })
    const event = (await world.eventsOf(attempt.id)).find(({ type }) => type === 'enrollment.rejected')
    expect(event).toMatchObject({ reason: 'device_limit_exceeded', data: { count: 1, limit: 1 } })
    const line = world
      .logText()
      .split('\n')
      .find((text) => text.includes(attempt.id) && text.includes('enrollment.rejected'))
    expect(JSON.parse(line!)).toMatchObject({ user_name: 'limited@example.com', count: 1, limit: 1 })
    // The same device takes no second place, and one that leaves frees its own.
    first.erase()
    expect(await first.powerOn()).toMatchObject({ outcome: 'enrolled' })
    await world.api('DELETE', `/devices/${first.facts.udid}?force=true`)
    expect(await second.powerOn()).toMatchObject({ outcome: 'enrolled' })
  })

  test('what is not assigned, blocked, gone or not ours is refused in silence', async () => {
    const phone = await world.phone(open)
    const other = await world.phone(native)
    const { url } = world.activation(phone)
    const foreign = await signMachineInfo(
      {
        UDID: other.facts.udid,
        SERIAL: other.facts.serialNumber,
        PRODUCT: 'iPhone15,2',
        VERSION: '22B83',
      },
      await world.ca.deviceIdentity('x'),
      { chain: world.ca.chain },
    )
    expectSilence(await send(url, foreign))
    expect(await world.attemptOf(other)).toMatchObject({ reason: 'not_assigned', outcome: 'rejected' })

    const stranger = await world.stranger()
    const unknown = await signMachineInfo(
      {
        UDID: stranger.facts.udid,
        SERIAL: stranger.facts.serialNumber,
        PRODUCT: 'iPhone15,2',
        VERSION: '22B83',
      },
      await world.ca.deviceIdentity('x'),
      { chain: world.ca.chain },
    )
    expectSilence(await send(url, unknown))
    expect(await world.attemptOf(stranger)).toMatchObject({ reason: 'unknown_serial' })

    const path = `/ade-devices/${phone.facts.serialNumber}`
    await world.api('POST', `${path}/block`, {})
    expectSilence(await post(phone))
    expect(await world.attemptOf(phone)).toMatchObject({ reason: 'blocked', outcome: 'rejected' })
    await world.api('POST', `${path}/unblock`, {})
    expect((await post(phone)).status).toBe(200)
  })

  test('a stranger cannot speak for a phone, nor end its attempt', async () => {
    const phone = await world.phone(native)
    expect((await post(phone)).status).toBe(401)
    const { facts } = phone
    world.clock.advance(1)
    const wrong = await createFakeAppleCa(world.clock.now())
    const body = await signMachineInfo(
      { UDID: facts.udid, SERIAL: facts.serialNumber, PRODUCT: 'iPhone15,2', VERSION: '22B83' },
      await wrong.deviceIdentity(facts.serialNumber),
      { chain: wrong.chain },
    )
    expectSilence(await send(world.activation(phone).url, body))
    const [own, ...others] = await world.attemptsOf(phone)
    expect(own).toMatchObject({ outcome: 'in_progress' })
    expect(others).toEqual([])
    expect(await world.counted('machine_info_untrusted')).toBeGreaterThan(0)
  })

  test('what cannot be read opens no attempt; neither does an unknown key, of which too many are slowed down', async () => {
    const phone = await world.phone(open)
    const { url } = world.activation(phone)
    const before = (await world.api('GET', '/enrollment-attempts?limit=1000')).body.items.length
    expectSilence(await send(url, Buffer.from('no CMS at all')))
    expectSilence(await send(url, Buffer.alloc(0)))
    expect((await send(url, Buffer.alloc(2 * 1024 * 1024, 48))).status).toBe(413)
    expect(await world.counted('machine_info_invalid')).toBeGreaterThan(0)
    const guess = url.replace(/[^/]+$/, 'guess')
    expect((await send(guess, Buffer.from('x'))).status).toBe(404)
    const statuses = await Promise.all(
      Array.from({ length: 25 }, async () => (await send(guess, Buffer.from('x'))).status),
    )
    expect(statuses).toContain(429)
    expect((await post(phone)).status).toBe(200)
    const after = (await world.api('GET', '/enrollment-attempts?limit=1000')).body.items.length
    expect(after).toBe(before + 1)
    expect(await world.counted('unknown_key')).toBeGreaterThan(0)
  })

  test('below the minimum OS a phone that can updates itself; another one is refused in silence', async () => {
    const policy = await world.policy({ ade: { minimum_os_version: '18.4' } })
    const phone = await world.phone(policy, { newestOs: '18.5', facts: { osVersion: '17.6' } })
    const result = await phone.powerOn()
    expect(result).toMatchObject({ outcome: 'enrolled', updatedTo: '18.4' })
    expect(phone.violations()).toEqual([])
    const outcomes = (await world.attemptsOf(phone)).map(({ outcome, reason }) => [outcome, reason])
    expect(outcomes.toSorted()).toEqual([
      ['enrolled', null],
      ['rejected', 'os_update_required'],
    ])
    const old = await world.phone(policy, { facts: { osVersion: '17.6' } })
    expectSilence(await post(old))
    expect(await world.attemptOf(old)).toMatchObject({ reason: 'os_update_required' })
  })

  test('each profile of one setup stays good until one is used; the others are void then', async () => {
    const phone = await world.phone(open)
    const first = await post(phone)
    const second = await post(phone)
    const third = await post(phone, {}, { LANGUAGE: 'de_CH' })
    expect([first.status, second.status, third.status]).toEqual([200, 200, 200])
    const [attempt, ...others] = await world.attemptsOf(phone)
    expect(others).toEqual([])
    // The same words again are counted, others are another contact.
    expect(steps(attempt!)).toEqual(['contact', 'assignment', 'profile', 'contact', 'assignment', 'profile'])
    expect(attempt?.timeline[2]?.detail).toEqual({ count: 2 })
    expect(await phone.device.enroll({ profile: second.body })).toMatchObject({ enrolled: true })
    phone.erase()
    for (const late of [first, third])
      expect(await phone.device.enroll({ profile: late.body })).toMatchObject({ enrolled: false })
  })

  test('a serial number is the same in any case, wherever it is written', async () => {
    const phone = await world.phone(open)
    const { serialNumber: serial, udid } = phone.facts
    const lower = serial.toLowerCase()
    const answer = await post(phone, {}, { SERIAL: lower })
    expect(answer.status).toBe(200)
    expect(await phone.device.enroll({ profile: answer.body })).toMatchObject({ enrolled: true })
    expect(await world.attemptOf(phone)).toMatchObject({ serial_number: serial, outcome: 'enrolled' })
    for (const path of ['/devices', '/enrollment-attempts', '/ade-devices']) {
      const { items } = (await world.api('GET', `${path}?serial_number=${lower}`)).body
      expect([path, items.length, items[0]?.serial_number]).toEqual([path, 1, serial])
    }
    expect((await world.api('GET', `/devices/${udid}`)).body).toMatchObject({ serial_number: serial })
    expect((await world.api('POST', `/ade-devices/${lower}/block`, {})).body).toMatchObject({
      state: 'blocked',
    })
    expect((await world.api('POST', `/ade-devices/${lower}/unblock`, {})).status).toBe(200)
    const assigned = await world.api('POST', `/enrollment-policies/${open}/assign`, {
      serial_numbers: [` ${lower} `],
    })
    expect(assigned.body).toMatchObject({ changed: 0, unchanged: 1, problems: [] })
    expect((await world.api('GET', '/ade-devices/%27%3B--')).status).toBe(404)
  })

  test('the profile of one phone is of no use to another', async () => {
    const [phone, thief] = [await world.phone(open), await world.phone(open)]
    const { body } = await post(phone)
    expect(await thief.device.enroll({ profile: body })).toMatchObject({ enrolled: false })
    expect(await world.attemptOf(phone)).toMatchObject({
      outcome: 'rejected',
      reason: 'certificate_mismatch',
    })
  })

  test('contacts at the same time open one attempt', async () => {
    const phone = await world.phone(native)
    const answers = await Promise.all(Array.from({ length: 12 }, () => post(phone)))
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 401))
    const attempts = await world.attemptsOf(phone)
    expect(attempts).toHaveLength(1)
    expect(steps(attempts[0]!)).toEqual(['contact', 'assignment', 'sign_in!sign_in_required'])
    expect(attempts[0]?.timeline.at(-1)?.detail).toMatchObject({ count: 12 })
  })
})
