import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Device } from '../../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../../support/app.ts'
import { testDatabase, type TestDatabase } from '../../support/database.ts'
import { deliveryWorld } from '../../support/delivery-world.ts'
import { halfEnrolled } from '../../support/half-enrolled.ts'
import { explained, expectExplained, type Fault } from './fault.ts'

const HOUR = 3_600_000

describe('why an enrolled device does not get what it is to get', () => {
  let database: TestDatabase
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  /** One that has nothing to do, for faults that leave nothing behind. */
  let quiet: Device
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startTestApp({ db: database })
    at = deliveryWorld(world, 'explained')
    quiet = await at.member()
  })
  afterAll(() => world.close())

  const udidOf = ({ facts }: Device) => facts.udid
  const serialOf = ({ facts }: Device) => facts.serialNumber
  async function send(device: Device, more: Record<string, unknown> = {}): Promise<string> {
    const { status, body } = await world.api('POST', '/commands', {
      ...{ request_type: 'ProfileList', device_ids: [udidOf(device)] },
      ...more,
    })
    expect([status, body.detail]).toEqual([202, undefined])
    return body.uuid as string
  }
  const cancel = (uuid: string) => world.api('DELETE', `/commands/${uuid}`)
  let last = ''
  const sent = async (device: Device, more: Record<string, unknown> = {}) => (last = await send(device, more))
  const takeBack = () => cancel(last)
  const certificates = (set: { rejected_reason: string | null }) =>
    database.kysely.updateTable('push_certificates').set(set).execute()

  /** A profile that a group brings to a device. */
  async function brought(device: Device, content: Parameters<typeof at.profile>[0] = {}) {
    const profile = await at.profile(content)
    await at.put(await at.group(device), at.bring(profile))
    return profile
  }

  const faults: Fault[] = [
    {
      fault: 'nothing',
      inject: async () => serialOf(quiet).toLowerCase(),
      ...{ kind: 'device', reason: 'enrolled', next: /^Nothing: / },
    },
    {
      fault: 'it has not come for a command',
      inject: () => sent(quiet),
      ...{ kind: 'command', reason: 'command_queued', next: /^Nothing: it goes out at the next contact/ },
    },
    {
      fault: 'it has not come for a command, asked for by its serial number',
      inject: async () => serialOf(quiet),
      mend: takeBack,
      ...{ kind: 'device', reason: 'command_queued', next: /next contact/, says: /ProfileList/ },
    },
    {
      fault: 'an operator took the command back',
      inject: async () => last.toLowerCase(),
      ...{ kind: 'command', reason: 'command_failed', next: /send it again if/, says: /cancelled/ },
    },
    {
      fault: 'a command is not to go out yet',
      inject: () => sent(quiet, { not_before: new Date(world.clock.now().getTime() + HOUR).toISOString() }),
      mend: takeBack,
      ...{
        kind: 'command',
        reason: 'command_queued',
        next: /goes out then by itself/,
        says: /before \d{4}-/,
      },
    },
    {
      fault: 'it answers NotNow',
      inject: async () => {
        quiet.script('ProfileList', 'NotNow')
        await sent(quiet)
        await quiet.poll()
        return udidOf(quiet)
      },
      mend: takeBack,
      ...{
        kind: 'device',
        reason: 'command_not_now',
        next: /asked again by itself/,
        says: /locked, or busy/,
      },
    },
    {
      fault: 'it answers with an error',
      inject: async () => {
        quiet.script('CertificateList', 'Error')
        world.clock.advance(1_000)
        const uuid = await send(quiet, { request_type: 'CertificateList' })
        await quiet.poll()
        return uuid
      },
      ...{
        kind: 'command',
        reason: 'command_failed',
        next: /mend what the error names/,
        says: /MCMDMErrorDomain|\d/,
      },
    },
    {
      fault: 'its last command failed',
      inject: async () => serialOf(quiet),
      mend: async () => {
        await send(quiet)
        await quiet.poll()
      },
      ...{ kind: 'device', reason: 'command_failed', next: /send the command again/ },
    },
    {
      fault: 'a command has expired',
      inject: async () => {
        const expires = new Date(world.clock.now().getTime() + 60_000).toISOString()
        const uuid = await send(quiet, { expires_at: expires })
        await world.pass(120_000)
        return uuid
      },
      mend: async () => {
        await send(quiet)
        await quiet.poll()
      },
      ...{ kind: 'command', reason: 'command_failed', next: /with more time/, says: /expired/ },
    },
    {
      fault: 'a command is done',
      inject: async () => {
        const uuid = await send(quiet)
        await quiet.poll()
        return uuid
      },
      ...{ kind: 'command', reason: 'enrolled', next: /this is done/, says: /acknowledged ProfileList/ },
    },
    {
      fault: 'Apple refuses the push certificate',
      inject: async () => {
        await certificates({ rejected_reason: 'Certificate was revoked' })
        return sent(quiet)
      },
      mend: async () => {
        await takeBack()
        await certificates({ rejected_reason: null })
      },
      ...{ kind: 'command', reason: 'push_certificate_missing', next: /^Renew the push certificate/ },
    },
    {
      fault: 'Apple says that its push token is of nobody',
      inject: async () => {
        const device = await at.member()
        const token = device.channels()[0].push!.token.toString('hex')
        world.apns.script(token, { status: 410, reason: 'Unregistered' })
        const uuid = await send(device)
        await at.until([], async () => (await explained(world, uuid))[0]?.reason === 'push_gone')
        return serialOf(device)
      },
      ...{ kind: 'device', reason: 'push_gone', next: /set it up again/, says: /Unregistered/ },
    },
    {
      fault: 'the device sent an error for a profile',
      inject: async () => {
        const device = await at.member()
        device.script('InstallProfile', 'Error')
        const profile = await brought(device)
        await at.untilIs([device], profile, { state: 'failed' })
        return serialOf(device)
      },
      ...{ kind: 'device', reason: 'delivery_failed', next: /tried again by itself at \d{4}-/ },
    },
    {
      fault: 'a variable of a profile has no value',
      inject: async () => {
        const device = await at.member()
        const profile = await brought(device, { ssid: '{{user.email}}' })
        await at.untilIs([device], profile, { state: 'failed', reason: 'variable_missing' })
        return udidOf(device)
      },
      ...{ kind: 'device', reason: 'delivery_failed', next: /that value; it then goes out by itself/ },
    },
    {
      fault: 'it is in lost mode, so a profile waits',
      inject: async () => {
        const device = await at.member({ facts: { ...world.device().facts, supervised: true } })
        const on = { enabled: true, message: 'Please call' }
        const { status } = await world.api('POST', `/devices/${udidOf(device)}/lost-mode`, on)
        expect(status).toBe(202)
        await at.pass([device], 1_000, 2)
        const profile = await brought(device)
        await at.untilIs([device], profile, { state: 'waiting', reason: 'lost_mode' })
        return udidOf(device)
      },
      ...{ kind: 'device', reason: 'delivery_waiting', next: /when lost mode is ended/ },
    },
    {
      fault: 'it has not come for a profile',
      inject: async () => {
        const device = await at.member()
        await brought(device)
        await at.until([], async () => (await at.deliveries(device)).length > 0)
        return serialOf(device)
      },
      ...{ kind: 'device', reason: 'delivery_waiting', next: /next contact/ },
    },
    {
      fault: 'the rollout of a profile is halted before it came to the device',
      inject: async () => {
        const device = await at.member()
        const profile = await brought(device, { ssid: 'first' })
        await at.untilIs([device], profile, { state: 'installed' })
        await at.replace(profile, 'second', '?rollout=true')
        const rings = [{ group_id: await at.group() }, { percent: 100 }]
        const { body } = await world.api('POST', '/rollouts', { kind: 'profile', id: profile.id, rings })
        expect((await world.api('POST', `/rollouts/${body.id}/halt`)).status).toBe(200)
        return serialOf(device)
      },
      ...{ kind: 'device', reason: 'rollout_halted', next: /resume the rollout or roll it back/ },
    },
    {
      fault: 'it said Authenticate and nothing after that',
      inject: async () => udidOf(await halfEnrolled(world, 'authenticate')),
      ...{ kind: 'device', reason: 'held_in_setup', next: /ends by itself/ },
    },
    {
      fault: 'it acknowledged the removal of its enrollment profile',
      inject: async () => {
        const device = await at.member()
        const uuid = await send(device, {
          not_before: new Date(world.clock.now().getTime() + HOUR).toISOString(),
        })
        await world.api('POST', `/devices/${udidOf(device)}/unenroll`)
        await device.poll()
        await world.pass(1_000)
        const [command] = await explained(world, uuid)
        expect(command).toMatchObject({ kind: 'command', reason: 'unenrolled' })
        return udidOf(device)
      },
      ...{ kind: 'device', reason: 'unenrolled', next: /give it an enrollment link/ },
    },
    {
      fault: 'somebody else has the device',
      inject: async () => {
        await world.api('POST', '/users', { user_name: 'owner' })
        await world.api('POST', '/users', { user_name: 'other' })
        const first = world.device()
        await first.enroll({ url: await world.link({ uses: 9, user_name: 'owner' }) })
        const second = world.device({ facts: first.facts })
        world.clock.advance(HOUR)
        await second.enroll({ url: await world.link({ uses: 9, user_name: 'other' }) })
        return serialOf(first)
      },
      ...{ kind: 'device', reason: 'owned_by_another', next: /allow its re-enrollment for an hour/ },
    },
    {
      fault: 'nothing: a person has a device',
      inject: async () => 'Owner',
      ...{ kind: 'user', reason: 'enrolled', next: /^Nothing/, says: /1 device enrolled/ },
    },
    {
      fault: 'nothing: a person has none yet',
      inject: async () => {
        await world.api('POST', '/users', { user_name: 'newcomer' })
        return 'newcomer'
      },
      ...{ kind: 'user', reason: 'not_contacted', next: /they sign in/ },
    },
    {
      fault: 'the channel of a user has ended with its device',
      inject: async () => {
        const device = await at.member()
        await device.signIn({ UserID: 'ada-1', UserShortName: 'ada', UserLongName: 'Ada' })
        const id = `${udidOf(device)}:ada-1`
        expect((await explained(world, id))[0]).toMatchObject({ id, reason: 'enrolled' })
        await device.checkOut()
        return id
      },
      ...{ kind: 'device', reason: 'unenrolled', next: /enrollment link/ },
    },
  ]

  test.each(faults)('$fault: $reason', (fault) => expectExplained(world, fault))

  test('a command to several devices is explained by the one that has come least far', async () => {
    const other = await at.member()
    other.script('ProfileList', 'NotNow')
    const uuid = await send(quiet, { device_ids: [udidOf(quiet), udidOf(other)] })
    await quiet.poll()
    await other.poll()
    const [match] = await explained(world, uuid)
    expect(match).toMatchObject({ title: 'ProfileList to 2 devices', reason: 'command_not_now' })
    expect(match?.sentence).toMatch(
      /^Of 2 devices: .*1 acknowledged.*1 not_now|^Of 2 devices: .*1 not_now.*1 acknowledged/,
    )
    await cancel(uuid)
  })

  test('a device is found by the beginning of its name, whatever the case', async () => {
    const id = udidOf(quiet)
    const { device_name: name } = (await world.api('GET', `/devices/${id}`)).body as { device_name: string }
    for (const q of [name, name.toUpperCase(), name.slice(0, -2).toLowerCase()])
      expect((await explained(world, q)).map((match) => match.id)).toContain(id)
    expect(await explained(world, name.slice(1))).toEqual([])
  })

  test('what nothing is known by has no matches; to ask for nothing is an error', async () => {
    expect(await explained(world, 'no such thing at all')).toEqual([])
    expect(await explained(world, '%')).toEqual([])
    for (const q of ['', '%20%20']) {
      const { status, body } = await world.api('GET', `/explain?q=${q}`)
      expect([status, body.code]).toEqual([422, 'search_empty'])
    }
    expect((await world.api('GET', '/explain?q=a%00b')).status).toBe(400)
    expect((await world.api('GET', '/explain')).status).toBe(400)
    expect((await world.api('GET', `/explain?q=${'x'.repeat(600)}`)).status).toBe(400)
  })
})
