import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { putMessage, startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'
import { ownerWorld } from '../support/owner-world.ts'
import { SHARED_IPAD_USER_ID } from '../support/shared-ipad.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.
vi.setConfig({ testTimeout: 60_000 })

type Keys = Record<string, Parameters<ReturnType<typeof ownerWorld>['say']>[1][string]>

describeOnEngine('postgres', 'somebody who has read the code', (database) => {
  let world: TestApp
  let at: ReturnType<typeof ownerWorld>
  let mallorys: string
  let victim: Device
  let channel: Awaited<ReturnType<Device['signIn']>>['channel']
  let before: unknown
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = ownerWorld(world, database)
    await at.user('ada')
    await at.user('mallory')
    mallorys = await at.link({ user_name: 'mallory', uses: 1000 })
    victim = world.device()
    expect((await victim.enroll({ url: await at.link({ user_name: 'ada' }) })).enrolled).toBe(true)
    await world.introduced(victim)
    channel = (await victim.signIn({ UserID: 'USER-1', UserShortName: 'ada' })).channel
    await world.api('POST', '/commands', {
      request_type: 'ProfileList',
      device_ids: [victim.facts.udid, `${victim.facts.udid}:USER-1`],
    })
    before = await at.state(victim.facts.udid)
  })
  afterAll(() => world.close())

  const untouched = async () => expect(await at.state(victim.facts.udid)).toEqual(before)

  /** Every way to spell whose message it is that has to do with the victim. */
  const names = (): Keys[] => {
    const { udid } = victim.facts
    return [
      { UDID: udid },
      { UDID: udid.toLowerCase() },
      { UDID: undefined, EnrollmentID: udid },
      { UDID: undefined, EnrollmentID: udid.toLowerCase() },
      { UDID: udid, UserID: 'USER-1', UserShortName: 'ada' },
      { UDID: udid, UserID: 'user-1' },
      { UDID: udid, UserID: 'USER-2' },
      { UDID: udid, UserID: SHARED_IPAD_USER_ID, UserShortName: 'USER-1' },
      { UDID: undefined, EnrollmentID: udid, EnrollmentUserID: 'USER-1' },
      { UDID: `${udid}:USER-1` },
      { UDID: `:${udid}` },
      { UDID: ` ${udid}` },
      { UDID: `${udid} ` },
      { UDID: `${udid}\u00a0` },
      { UDID: `${udid},x` },
      { UDID: udid.replace('0', '\uff10') },
    ]
  }
  const MESSAGES: Keys[] = [
    { ...TOKEN_UPDATE, UnlockToken: Buffer.from('unlock') },
    { MessageType: 'CheckOut' },
    { MessageType: 'SetBootstrapToken', BootstrapToken: Buffer.from('bootstrap') },
    { MessageType: 'GetBootstrapToken' },
    { MessageType: 'ReturnToService' },
    { MessageType: 'DeclarativeManagement', Endpoint: 'tokens' },
    { MessageType: 'UserAuthenticate' },
  ]

  /** Says everything by every name with one certificate; none of it may be taken for the victim's word. */
  async function sayAll(thief: Device): Promise<void> {
    for (const name of names()) {
      for (const message of [{ MessageType: 'Authenticate' }, ...MESSAGES]) {
        const { status, body } = await at.say(thief, { ...message, ...name })
        expect({ name, message, status }).toEqual({ name, message, status: status === 400 ? 400 : 403 })
        if (status === 403) expect(body.length).toBe(0)
      }
      for (const status of [{ Status: 'Idle' }, { Status: 'Acknowledged', CommandUUID: 'x' }]) {
        const given = Object.entries({ UDID: undefined, ...status, ...name })
        const keys = Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Record<
          string,
          string
        >
        const answer = await putMessage(`${world.url}/mdm`, keys, { signer: identityOf(thief) })
        expect([400, 403]).toContain(answer.status)
        if (answer.status === 403) expect(answer.body.length).toBe(0)
      }
    }
    await untouched()
  }

  test('gets nothing of it with the certificate of an enrolled device', async () => {
    const thief = world.device()
    expect((await thief.enroll({ url: mallorys })).enrolled).toBe(true)
    await sayAll(thief)
    await at.isAlive(thief, thief.facts.udid)
  })

  test('nor with one that is bound to nothing, one of an attempt that was refused, or one that was replaced', async () => {
    const unbound = await at.certified(mallorys)
    for (const name of names().filter(
      ({ UDID, EnrollmentID }) => UDID !== undefined || EnrollmentID === undefined,
    ))
      for (const message of MESSAGES)
        expect((await at.say(unbound, { ...message, ...name })).status).toBeGreaterThan(399)
    await untouched()
    const { udid, serialNumber } = victim.facts
    const refused = await at.certified(mallorys)
    expect(
      (await at.say(refused, { MessageType: 'Authenticate', UDID: udid, SerialNumber: serialNumber })).status,
    ).toBe(403)
    await sayAll(refused)
    const replaced = world.device()
    await replaced.enroll({ url: mallorys })
    const next = await at.claim(replaced, mallorys)
    expect(next.enrolled).toBe(true)
    await sayAll(replaced)
    await at.isAlive(next.device, replaced.facts.udid)
    await untouched()
  })

  test('an Authenticate by any spelling is the same device, or another one that has nothing of it', async () => {
    const { udid, serialNumber } = victim.facts
    for (const [UDID, status] of [
      [udid, 403],
      [udid.toLowerCase(), 403],
      [udid.toUpperCase(), 403],
      [`${udid}0`, 200],
      [udid.slice(0, -1), 200],
      [udid.replaceAll('-', ''), 200],
      [` ${udid}`, 400],
      [`${udid}\t`, 400],
      [`${udid}:USER-1`, 400],
      [`:${udid}`, 400],
      [`%3A${udid}`, 200],
    ] as const) {
      const thief = await at.certified(mallorys)
      const keys = { MessageType: 'Authenticate', UDID, SerialNumber: serialNumber }
      expect({ UDID, status: (await at.say(thief, keys)).status }).toEqual({ UDID, status })
      if (status === 200) expect((await at.say(thief, { ...TOKEN_UPDATE, UDID })).status).toBe(200)
      await untouched()
      if (status === 200) await world.api('DELETE', `/devices/${encodeURIComponent(UDID)}?force=true`)
    }
    await untouched()
  })

  test('an EnrollmentID is no UDID: either enrols beside the other, and gets what is its own', async () => {
    const { udid } = victim.facts
    const { device: other, enrolled } = await at.claim(victim, mallorys, {}, { enrollmentId: udid })
    expect(enrolled).toBe(true)
    await untouched()
    const { items } = (await world.api('GET', '/devices?type=user_enrollment_device')).body
    const row = items.find(({ id }: { id: string }) => id.endsWith(udid))
    expect(row).toMatchObject({ state: 'enrolled', user_name: 'mallory', udid: null })
    expect(row.id).not.toBe(udid)
    await at.isAlive(other, row.id)
    await other.signIn({ EnrollmentUserID: 'USER-1' })
    expect((await at.shown(row.id)).user_channels).toEqual([`${row.id}:USER-1`])
    await sayAllOf(other)
    // Each of them enrols again, and is the same as before.
    const again = await at.claim(victim, mallorys, {}, { enrollmentId: udid.toLowerCase() })
    expect(again.enrolled).toBe(true)
    await at.isAlive(again.device, row.id)
    expect((await world.api('GET', '/devices?type=user_enrollment_device')).body.items).toHaveLength(1)
    await again.device.checkOut()
    await untouched()
    expect(await at.shown(row.id)).toMatchObject({ state: 'unenrolled' })
    expect(await at.shown(udid)).toMatchObject({ state: 'enrolled', user_name: 'ada' })
    expect([...other.violations(), ...again.device.violations()]).toEqual([])
  })

  /** The neighbour in the other space says everything as the UDID. */
  async function sayAllOf(thief: Device): Promise<void> {
    const { udid } = victim.facts
    for (const message of [{ MessageType: 'Authenticate' }, ...MESSAGES])
      for (const name of [{ UDID: udid }, { UDID: udid, UserID: 'USER-1' }]) {
        const { status } = await at.say(thief, { ...message, ...name })
        expect({ message, name, status }).toEqual({ message, name, status: status === 400 ? 400 : 403 })
      }
    const idle = { Status: 'Idle', UDID: udid }
    expect((await putMessage(`${world.url}/mdm`, idle, { signer: identityOf(thief) })).status).toBe(403)
    await untouched()
  }

  test('a UDID that somebody took as EnrollmentID before enrols all the same', async () => {
    const url = await at.link({ user_name: 'ada' })
    const honest = world.device()
    const { udid } = honest.facts
    const squatter = world.device({ enrollmentId: udid })
    expect((await squatter.enroll({ url: mallorys })).enrolled).toBe(true)
    expect((await honest.enroll({ url })).enrolled).toBe(true)
    await honest.signIn({ UserID: 'USER-1' })
    const [row] = (await world.api('GET', `/devices?udid=${udid}&type=device`)).body.items
    expect(row).toMatchObject({ user_name: 'ada', udid, state: 'enrolled', type: 'device' })
    await at.isAlive(honest, row.id)
    expect(await at.shown(udid)).toMatchObject({ user_name: 'mallory', type: 'user_enrollment_device' })
    await at.isAlive(squatter, udid)
    await honest.checkOut()
    expect(await at.shown(row.id)).toMatchObject({ state: 'unenrolled' })
    expect(await at.shown(udid)).toMatchObject({ state: 'enrolled' })
    expect([...honest.violations(), ...squatter.violations()]).toEqual([])
  })

  test('the device limit counts neighbours of one name as two', async () => {
    await at.user('kim', { device_limit: 1 })
    const url = await at.link({ user_name: 'kim' })
    const first = world.device()
    expect((await first.enroll({ url })).enrolled).toBe(true)
    const second = world.device({ enrollmentId: first.facts.udid })
    expect((await second.enroll({ url })).enrolled).toBe(false)
    expect((await first.enroll({ url })).enrolled).toBe(true)
  })

  test('a channel of one kind is not that of another, though they have one id', async () => {
    const device = world.device()
    await device.enroll({ url: mallorys })
    await device.signIn({ UserID: 'x@example.com' })
    const id = `${device.facts.udid}:x@example.com`
    const row = await at.shown(id)
    const shared = { UserID: SHARED_IPAD_USER_ID, UserShortName: 'x@example.com' }
    expect((await at.say(device, { ...TOKEN_UPDATE, ...shared })).status).toBe(403)
    expect(await at.shown(id)).toEqual(row)
    // Users whose names hold what separates users, or look like a device.
    for (const UserID of [
      'a:b',
      ':',
      'a:b:c',
      victim.facts.udid,
      `${victim.facts.udid}:USER-1`,
      '\u0130',
      '\u212a',
    ]) {
      for (let count = 0; count < 2; count++)
        expect((await at.say(device, { ...TOKEN_UPDATE, UserID })).status).toBe(200)
      const own = await at.shown(`${device.facts.udid}:${UserID}`)
      expect(own).toMatchObject({ parent_id: device.facts.udid, token_update_tally: 2 })
    }
    await untouched()
  })

  test('a renewal that was asked for before a takeover is worth nothing after it', async () => {
    const device = world.device()
    await device.enroll({ url: mallorys })
    const { udid } = device.facts
    await world.api('POST', `/devices/${udid}/allow-re-enrollment`)
    const { device: next, enrolled } = await at.claim(device, await at.link({ user_name: 'ada' }))
    expect(enrolled).toBe(true)
    expect((await at.say(device, { MessageType: 'Authenticate' })).status).toBe(403)
    expect((await at.claim(device, mallorys)).enrolled).toBe(false)
    await at.isAlive(next, udid)
    const certificates = (await at.state(udid)).certificates.map(({ state }) => state).toSorted()
    expect(certificates).toEqual(['active', 'replaced'])
  })

  test('one certificate enrols one device, whatever it says next', async () => {
    const thief = await at.certified(mallorys)
    const say = (UDID: string) => at.say(thief, { MessageType: 'Authenticate', UDID })
    expect((await say('OWN-DEVICE')).status).toBe(200)
    expect((await say('ANOTHER-DEVICE')).status).toBe(403)
    expect((await say(victim.facts.udid)).status).toBe(403)
    expect((await say('own-device')).status).toBe(200)
    await untouched()
  })

  test('the user channels of a device are 100; a further one takes the place of that unseen longest', async () => {
    const device = world.device()
    await device.enroll({ url: mallorys })
    const { udid } = device.facts
    const name = (n: number) => `USER-${String(n).padStart(3, '0')}`
    const signIn = async (n: number) => {
      world.clock.advance(1)
      expect((await at.say(device, { ...TOKEN_UPDATE, UserID: name(n) })).status).toBe(200)
    }
    for (let n = 0; n < 100; n++) await signIn(n)
    const shown = async () => (await at.shown(udid)).user_channels as string[]
    expect(await shown()).toHaveLength(100)
    // The first one comes again, so that it is the second that was unseen longest.
    const idle = { Status: 'Idle', UDID: udid, UserID: name(0) }
    expect((await putMessage(`${world.url}/mdm`, idle, { signer: identityOf(device) })).status).toBe(200)
    await expect
      .poll(async () => {
        await world.pass(2_000)
        return (await at.shown(`${udid}:${name(0)}`)).last_seen_at
      })
      .not.toBe((await at.shown(`${udid}:${name(1)}`)).last_seen_at)
    await world.api('POST', '/commands', { request_type: 'ProfileList', device_ids: [`${udid}:${name(1)}`] })
    await signIn(100)
    const now = await shown()
    expect(now).toHaveLength(100)
    expect(now).not.toContain(`${udid}:${name(1)}`)
    expect(now).toEqual(expect.arrayContaining([`${udid}:${name(0)}`, `${udid}:${name(100)}`]))
    expect((await world.api('GET', `/devices/${udid}:${name(1)}`)).status).toBe(404)
    // It may come again, as a new one.
    await signIn(1)
    expect(await shown()).toHaveLength(100)
    expect((await at.shown(`${udid}:${name(1)}`)).token_update_tally).toBe(1)
    await at.isAlive(device, udid)
  })

  test('in the end the victim is as it was', async () => {
    await untouched()
    expect((await victim.poll()).end).toBe('idle')
    expect((await victim.poll(channel)).end).toBe('idle')
    expect(victim.violations()).toEqual([])
    expect(world.logText().includes('"event":"http.failed"')).toBe(false)
  })
})
