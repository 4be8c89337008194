import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { adeOperator, type AdeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.

const MINUTE = 60_000
const serials = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, '0')}`)

describe('policies and assignment as in Intune', () => {
  let database: TestDatabase
  let world: AdeApp
  let admin: AdeOperator
  let begin = 0
  let violations = 0
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: await openAgain(database) })
    admin = adeOperator(world)
    await admin.removeServers()
  })
  afterEach(async () => {
    await admin.removeServers()
    const found = world.fake.violations.slice(violations)
    violations = world.fake.violations.length
    begin = world.fake.calls.length
    expect(found).toEqual([])
  })
  afterAll(async () => {
    await world.close()
    await database.close()
  })

  const stateOf = async (serial: string) => (await admin.device(serial)).assignment?.state
  const isAssigned = (...some: string[]) =>
    admin.until(async () => {
      const states = await Promise.all(some.map(stateOf))
      return states.every((state) => state === 'assigned')
    }, 500)
  const assign = (policy: string, some: readonly string[]) =>
    world.api('POST', `/enrollment-policies/${policy}/assign`, { serial_numbers: some })
  /** Changes at Apple since the test began, with how many serial numbers each was about. */
  const changes = () =>
    world.fake.calls
      .slice(begin)
      .filter(({ path, method }) => path === '/profile/devices' || (path === '/profile' && method === 'POST'))
      .filter(({ status }) => status === 200)
      .map(({ method, path, serialNumbers }) => `${method} ${path} ${serialNumbers.length}`)

  test('the default policy is given to new serial numbers at sync, and to those alone', async () => {
    const id = await admin.server('Default', ['D1'])
    const policy = await world.policy()
    const set = await world.api('PUT', `/ade-servers/${id}/default-policy`, { policy_id: policy })
    expect(set.body.default_policy_id).toBe(policy)
    world.fake.portal.addDevices(['D2'], 'Default')
    await admin.sync(id)
    await isAssigned('D2')
    expect((await admin.device('D1')).policy_id).toBeNull()
    expect(world.fake.device('D2').profileStatus).toBe('assigned')
    const kept = await world.api('DELETE', `/enrollment-policies/${policy}`)
    expect([kept.status, kept.body.code]).toEqual([409, 'conflict'])
  })

  test('all devices, chosen ones and a CSV of serial numbers are assigned, 1,000 a call at most', async () => {
    const all = serials('ALL', 2_100)
    const id = await admin.server('All', all)
    const [everybody, chosen, listed] = [await world.policy(), await world.policy(), await world.policy()]
    const whole = await world.api('POST', `/enrollment-policies/${everybody}/assign`, {
      ...{ all: true, ade_server_id: id },
    })
    expect([whole.status, whole.body.changed]).toEqual([202, 2_100])
    await admin.until(async () => changes().length === 3, 500)
    expect(changes()).toEqual([
      ...['POST /profile 1000', 'POST /profile/devices 1000', 'POST /profile/devices 100'],
    ])
    await isAssigned(all[0]!, all[2_099]!)

    expect((await assign(chosen, [all[0]!, 'STRANGER1'])).body).toEqual({
      ...{ changed: 1, unchanged: 0 },
      problems: [{ serial_number: 'STRANGER1', problem: 'unknown' }],
      will_unenroll: [],
    })
    const csv = await admin.raw('POST', `/enrollment-policies/${listed}/assign`, {
      ...{ type: 'text/csv', body: `serial,owner\r\n${all[1]},Ada\r\n"${all[2]}","Grace, H."\r\n` },
    })
    expect([csv.status, csv.body.changed]).toEqual([202, 2])
    await isAssigned(all[0]!, all[1]!, all[2]!)
    const uuids = [0, 1, 2, 3].map((index) => world.fake.device(all[index]!).profileUuid)
    expect(uuids[1]).toBe(uuids[2])
    expect(new Set(uuids).size).toBe(3)
  })

  test('a policy is defined once for any number of devices, and again only when its rendering changes', async () => {
    await admin.server('Once', ['P1', 'P2', 'P3'])
    const policy = await world.policy({ ade: { department: 'Sales' } })
    for (const serial of ['P1', 'P2', 'P3']) {
      await assign(policy, [serial])
      await isAssigned(serial)
    }
    expect(changes().filter((call) => call.startsWith('POST /profile '))).toHaveLength(1)
    await world.api('PATCH', `/enrollment-policies/${policy}`, { description: 'of no interest to Apple' })
    await admin.until(() => true, 5_000)
    await world.api('PATCH', `/enrollment-policies/${policy}`, { ade: { department: 'Marketing' } })
    await admin.until(() => changes().filter((call) => call.startsWith('POST /profile ')).length === 2, 500)
    await isAssigned('P1', 'P2', 'P3')
    const device = await admin.device('P2')
    expect(device).toMatchObject({ profile_current_at_apple: true, device_runs_current_profile: null })
    expect(world.fake.profile(world.fake.device('P2').profileUuid!)).toMatchObject({
      department: 'Marketing',
    })
    expect(changes()).toHaveLength(4)
  })

  test('FAILED is tried again after five minutes, then with growing pauses', async () => {
    const id = await admin.server('Failing', ['F1', 'F2'])
    world.fake.scriptSerial('F1', 'FAILED', 'FAILED')
    await assign(await world.policy(), ['F1', 'F2'])
    await admin.until(async () => (await stateOf('F1')) === 'failed', 100)
    const first = (await admin.device('F1')).assignment
    const since = world.clock.now().getTime()
    expect(Date.parse(first.retry_at) - since).toBeGreaterThan(4 * MINUTE)
    expect(Date.parse(first.retry_at) - since).toBeLessThanOrEqual(5 * MINUTE)
    expect(first.error).toContain('FAILED')
    expect(await stateOf('F2')).toBe('assigned')
    world.clock.advance(4 * MINUTE)
    await admin.until(() => true, 2_000)
    expect((await admin.device('F1')).assignment.attempts).toBe(1)
    await admin.until(async () => (await admin.device('F1')).assignment.attempts === 2, 5_000)
    const second = (await admin.device('F1')).assignment
    expect(Date.parse(second.retry_at) - world.clock.now().getTime()).toBeGreaterThan(9 * MINUTE)
    await admin.until(async () => (await stateOf('F1')) === 'assigned', 10_000)
    const [failed] = await admin.events('ade_device.assignment_failed')
    expect(failed).toMatchObject({ reason: 'failed', data: { ade_server_id: id, serial_numbers: ['F1'] } })
  })

  test('THROTTLED is not tried before retry_after_seconds', async () => {
    await admin.server('Throttled', ['TH1'])
    world.fake.throttleFor(900)
    world.fake.scriptSerial('TH1', 'THROTTLED')
    await assign(await world.policy(), ['TH1'])
    await admin.until(async () => (await stateOf('TH1')) === 'throttled', 100)
    const until = Date.parse((await admin.device('TH1')).assignment.retry_at)
    const count = changes().length
    world.clock.advance(until - world.clock.now().getTime() - 1_000)
    await admin.until(() => true, 500)
    expect(changes()).toHaveLength(count)
    await isAssigned('TH1')
    world.fake.throttleFor(60)
  })

  test('NOT_ACCESSIBLE is a device that is ours no more', async () => {
    await admin.server('Sold', ['S1', 'S2'])
    world.fake.portal.removeDevice('S1')
    await assign(await world.policy(), ['S1', 'S2'])
    await isAssigned('S2')
    await admin.until(async () => (await admin.device('S1')).state === 'removed')
    expect((await admin.device('S1')).removed_at).not.toBeNull()
  })

  test('drift made elsewhere is seen at the next sync, reported and repaired', async () => {
    const id = await admin.server('Drift', ['DR1', 'DR2'])
    await assign(await world.policy(), ['DR1', 'DR2'])
    await isAssigned('DR1', 'DR2')
    const { profileUuid } = world.fake.device('DR1')
    world.clock.advance(1_000)
    world.fake.portal.setProfile('DR1', null)
    await admin.sync(id)
    await admin.until(() => world.fake.device('DR1').profileUuid === profileUuid, 500)
    const drifted = await admin.event('ade_device.drifted', ({ data }) => data.ade_server_id === id)
    expect(drifted.data.serial_numbers).toEqual(['DR1'])
    await isAssigned('DR1', 'DR2')
  })

  test('unassigning takes the profile away at Apple, of those that have the policy', async () => {
    await admin.server('Unassign', ['U1', 'U2'])
    const policy = await world.policy()
    await assign(policy, ['U1', 'U2'])
    await isAssigned('U1', 'U2')
    const answer = await world.api('POST', `/enrollment-policies/${policy}/unassign`, {
      serial_numbers: ['U1'],
    })
    expect(answer.status).toBe(202)
    await admin.until(() => world.fake.device('U1').profileUuid === undefined, 500)
    expect(await admin.device('U1')).toMatchObject({ policy_id: null })
    expect(world.fake.device('U2').profileUuid).toBeDefined()
  })

  test('a device is released from the organisation only with its serial number confirmed', async () => {
    await admin.server('Release', ['R1'])
    for (const body of [{ confirm: 'R2' }, { confirm: '' }, {}]) {
      const refused = await world.api('POST', '/ade-devices/R1/release', body)
      expect([refused.status, refused.body.code]).toEqual([400, 'invalid_request'])
    }
    expect((await admin.device('R1')).state).toBe('not_contacted')
    expect(world.fake.counts()['POST /devices/disown']).toBeUndefined()
    const released = await world.api('POST', '/ade-devices/R1/release', { confirm: 'R1' })
    expect(released.status).toBeLessThan(300)
    expect((await admin.device('R1')).state).toBe('released')
    expect(() => world.fake.device('R1')).toThrow('the organisation has no device R1')
    const again = await world.api('POST', '/ade-devices/R1/release', { confirm: 'R1' })
    expect(again.body.code).toBe('conflict')
  })

  test('a policy in use cannot be deleted unless its devices get another', async () => {
    await admin.server('InUse', ['I1'])
    const [policy, next] = [await world.policy(), await world.policy()]
    await assign(policy, ['I1'])
    const refused = await world.api('DELETE', `/enrollment-policies/${policy}`)
    expect([refused.status, refused.body.code]).toEqual([409, 'conflict'])
    expect(refused.body.detail).toContain('1 device')
    await assign(next, ['I1'])
    expect((await world.api('DELETE', `/enrollment-policies/${policy}`)).status).toBe(204)
    await isAssigned('I1')
  })

  test('locked needs supervised, at most 10 pairing certificates; all problems are named at once', async () => {
    const pem = readFileSync('test/fixtures/keys/ca.pem', 'utf8')
    const certificate = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n/.exec(pem)?.[0] ?? pem
    const answer = await world.api('POST', '/enrollment-policies', {
      name: '',
      user_affinity: 'sometimes',
      sign_in_source_id: 'nowhere',
      ade: {
        ...{ enabled: true, supervised: false, locked: true, await_device_configured: true },
        ...{ pairing: 'require_certificate', pairing_certificates: Array(11).fill(certificate) },
        ...{ department: 'x'.repeat(126), minimum_os_version: 'latest', sign_in: 'sms' },
        ...{ support_email_address: 'no address', configuration_deadline_minutes: 0 },
        ...{ setup_assistant: { passcode: 'yes', welcome: true } },
      },
    })
    expect([answer.status, answer.body.code]).toEqual([400, 'invalid_request'])
    const paths = answer.body.errors?.map(({ path }: { path: string }) => path) ?? answer.body
    expect(new Set(paths)).toEqual(
      new Set([
        ...['name', 'user_affinity', 'sign_in_source_id', 'ade.locked', 'ade.await_device_configured'],
        ...['ade.pairing', 'ade.pairing_certificates', 'ade.department', 'ade.minimum_os_version'],
        ...['ade.sign_in', 'ade.support_email_address', 'ade.configuration_deadline_minutes'],
        ...['ade.setup_assistant.passcode', 'ade.setup_assistant.welcome'],
      ]),
    )
    const { body } = await world.api('GET', '/enrollment-policies?limit=1000')
    expect(body.items.every(({ name }: { name: string }) => name !== '')).toBe(true)
  })

  test('each pane is one skip key; only a hidden restore also hides Android and DeviceToDeviceMigration', async () => {
    await admin.server('Panes', ['PA1', 'PA2'])
    const hidden = async (panes: Record<string, boolean>, serial: string) => {
      await assign(await world.policy({ ade: { setup_assistant: panes, locked: true } }), [serial])
      await isAssigned(serial)
      return world.fake.profile(world.fake.device(serial).profileUuid!)
    }
    expect(await hidden({ siri: false, passcode: false }, 'PA1')).toMatchObject({
      ...{ skip_setup_items: ['Passcode', 'Siri'], is_supervised: true, is_mdm_removable: false },
    })
    expect((await hidden({ restore: false }, 'PA2'))?.['skip_setup_items']).toEqual(
      expect.arrayContaining(['Restore', 'Android', 'DeviceToDeviceMigration']),
    )
  })
})
