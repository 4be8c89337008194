import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/cli/index.ts'
import type { Device } from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'

describeEachEngine('lists that are searched, and things called by their names', (database) => {
  let world: TestApp
  let device: Device
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    await world.api('POST', '/users', {
      user_name: 'ada',
      display_name: 'Ada 100%',
      email: 'a_b@example.org',
    })
    await world.api('POST', '/users', { user_name: 'bea', display_name: 'Bea', email: 'axb@example.org' })
    device = await world.enrolled()
    await world.introduced(device)
    await world.enrolled()
    await world.pass(5_000)
  })
  afterAll(() => world.close())

  async function found(path: string): Promise<string[]> {
    const { status, body } = await world.api('GET', path)
    expect(status).toBe(200)
    return body.items.map(
      (item: Record<string, string>) => item['user_name'] ?? item['serial_number'] ?? item['uuid'],
    )
  }

  async function cli(line: string): Promise<{ code: number; out: string; err: string }> {
    let out = ''
    let err = ''
    const code = await runCli(line.split(' '), {
      serve: () => Promise.resolve(0),
      migrate: () => Promise.resolve(0),
      migrateFrom: () => Promise.resolve(0),
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
      env: { FIRSTBOOT_URL: world.url, FIRSTBOOT_TOKEN: ADMIN_TOKEN },
    })
    return { code, out, err }
  }

  test('a search finds what begins so, in any case, and takes no character for more than it is', async () => {
    const { serial, udid } = { serial: device.facts.serialNumber, udid: device.facts.udid }
    expect(await found(`/devices?search=${serial.toLowerCase()}`)).toEqual([serial])
    expect(await found(`/devices?search=${udid.slice(0, -3)}`)).toEqual([serial])
    expect(await found(`/devices?search=${serial.slice(1)}`)).toEqual([])
    expect(await found(`/enrollment-attempts?search=${serial}`)).toEqual([serial])
    expect(await found('/users?search=ADA')).toEqual(['ada'])
    expect(await found('/users?search=a_b')).toEqual(['ada'])
    expect(await found('/users?search=%25')).toEqual([])
    expect(await found(String.raw`/users?search=\%5C`)).toEqual([])
    expect(await found('/ade-devices?search=X')).toEqual([])
    for (const odd of ['', '%00', 'x'.repeat(257)])
      expect((await world.api('GET', `/users?search=${odd}`)).status).toBe(400)
  })

  test('times bound what has one', async () => {
    const now = world.clock.now().getTime()
    const at = (ms: number) => encodeURIComponent(new Date(now + ms).toISOString())
    for (const path of ['/enrollment-attempts', '/commands', '/events', '/devices']) {
      const all = await world.api('GET', path)
      expect(all.body.items.length, path).toBeGreaterThan(0)
      const count = async (query: string) => (await world.api('GET', `${path}?${query}`)).body.items.length
      expect(await count(`since=${at(-3_600_000)}&until=${at(3_600_000)}`), path).toBe(all.body.items.length)
      expect(await count(`since=${at(3_600_000)}`), path).toBe(0)
      expect(await count(`until=${at(-3_600_000)}`), path).toBe(0)
      expect((await world.api('GET', `${path}?since=2027-12-31T23:59:60Z`)).status, path).toBe(400)
    }
  })

  test('the command line takes serial numbers, user names and beginnings of ids', async () => {
    const { serialNumber, udid } = device.facts
    expect((await cli(`devices get ${serialNumber}`)).out).toContain(udid)
    expect((await cli(`devices get ${udid.slice(0, -2).toLowerCase()}`)).out).toContain(serialNumber)
    expect((await cli('users get ADA --output json')).out).toContain('"user_name": "ada"')
    const sent = await cli(`commands send --type DeviceLock --device ${serialNumber} --output json`)
    expect(sent).toMatchObject({ code: 0, err: '' })
    const uuid: string = JSON.parse(sent.out).uuid
    expect((await cli(`commands get ${uuid.slice(0, -2)}`)).out).toContain(uuid)
    expect(await cli('devices get nobody')).toMatchObject({ code: 1, out: '' })
    expect((await cli('users get ad')).out).toContain('Ada 100%')
    expect(await cli('users update ada --device-limit=-3')).toMatchObject({
      code: 1,
      err: expect.stringContaining('--device-limit: '),
    })
  })

  test('the state of the server at a glance, and what needs a person', async () => {
    const shown = await cli('status')
    expect(shown).toMatchObject({ code: 0, err: '' })
    expect(shown.out).toMatch(/^server +Firstboot \S+ at http/)
    expect(shown.out).toMatch(/^devices +2 enrolled$/m)
    expect(shown.out).toContain('Nothing is wrong.')
    await world.api('POST', '/ade-servers', { name: 'Phones' })
    const { out, code } = await cli('status --output json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      devices: { enrolled: 2, unenrolled: 0 },
      refused: {},
      problems: [expect.stringMatching(/^ADE server Phones has no server token/)],
    })
    expect((await cli('status --token wrong')).code).toBe(1)
  })
})
