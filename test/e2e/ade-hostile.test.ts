import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createFakeAppleCa,
  startFakeOidc,
  type FakeOidc,
  type OidcTrouble,
  type Phone,
} from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { machineInfoOf, sendMachineInfo } from '../support/ade-machine-info.ts'
import { adeOperator, type AdeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { testKey } from '../support/keys.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.
/** How long a call that was begun may take to arrive on a busy machine. */

const PASSWORD = 'right password'
const MINUTE = 60_000
const SETUP = { 'user-agent': 'Setup Assistant' }
const serials = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, '0')}`)

describe('bad input', () => {
  let database: TestDatabase
  let world: AdeApp
  let admin: AdeOperator
  let plain: string
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: await openAgain(database) })
    admin = adeOperator(world)
    plain = await world.policy()
  })
  afterAll(async () => {
    await world.close()
    await database.close()
  })

  const send = sendMachineInfo
  const machineInfo = (phone: Phone, changes?: Record<string, string>, ca = world.ca) =>
    machineInfoOf(phone, ca, changes)
  const attempts = async () =>
    (await database.kysely.selectFrom('enrollment_attempts').select('id').execute()).length
  describe('from Apple', () => {
    /** So many in a row end a run. */
    const NEEDED = { html: 6, half: 6, same_cursor: 1, empty_page: 21 } as const
    const devices = async () =>
      (await database.kysely.selectFrom('ade_devices').selectAll().orderBy('serial_number').execute()).map(
        ({ serial_number, removed_at }) => [serial_number, removed_at],
      )

    test.each([
      ['HTML', 'html', 'malformed_answer'],
      ['half a JSON', 'half', 'malformed_answer'],
      ['the same cursor for ever', 'same_cursor', 'repeated_cursor'],
      ['empty pages with more_to_follow', 'empty_page', 'empty_pages'],
    ] as const)(
      '%s ends the run with its reason in bounded time, and removes nothing',
      async (_, twist, code) => {
        const before = await devices()
        const calls = world.fake.calls.length
        world.fake.script('/devices/sync', ...Array.from({ length: NEEDED[twist] }, () => twist))
        expect(await admin.sync(world.serverId)).toMatchObject({ state: 'failed', error_code: code })
        expect(world.fake.calls.length - calls).toBeLessThan(60)
        expect(await devices()).toEqual(before)
        const { sync } = (await world.api('GET', `/ade-servers/${world.serverId}`)).body
        expect(sync).toMatchObject({ can_start: true, running: false })
        expect(sync.last.error).toMatch(/\w{4}/)
        expect(await admin.sync(world.serverId)).toMatchObject({ state: 'succeeded' })
      },
    )

    test('a serial number twice on a page, in any order, is one', async () => {
      world.fake.portal.addDevices(['TWICE1', 'TWICE2'], 'Phones')
      world.fake.script('/devices/sync', 'doubled')
      const run = await admin.sync(world.serverId)
      expect(run).toMatchObject({ state: 'succeeded' })
      expect((await devices()).filter(([serial]) => String(serial).startsWith('TWICE'))).toHaveLength(2)
    })

    test('a page of 1,000 that takes nine minutes is taken', async () => {
      const id = await admin.server('Nine minutes')
      world.fake.portal.addDevices(serials('NINE', 1_000), 'Nine minutes')
      world.fake.script('/devices/sync', { delayMs: 9 * MINUTE })
      const { body: run } = await world.api('POST', `/ade-servers/${id}/syncs`)
      await expect.poll(() => world.fake.calls.at(-1)).toMatchObject({ path: '/devices/sync', status: 0 })
      world.clock.advance(9 * MINUTE - 1_000)
      expect((await world.api('GET', `/ade-servers/${id}`)).body.sync.running).toBe(true)
      await admin.synced(id)
      const { body } = await world.api('GET', `/ade-servers/${id}/syncs/${run.id}`)
      expect(body).toMatchObject({ state: 'succeeded', added: 1_000 })
    })
  })

  describe('MachineInfo', () => {
    test('unsigned, damaged, 1 MB long or not there: an empty 403 or 413, machine_info_invalid, and no attempt', async () => {
      const phone = await world.phone(plain)
      const { url } = world.activation(phone)
      const before = await attempts()
      const signed = await machineInfo(phone)
      const plist = `<plist version="1.0"><dict><key>SERIAL</key><string>${phone.facts.serialNumber}</string></dict></plist>`
      const broken = Buffer.from(signed)
      broken.fill(0x41, 200, 300)
      for (const body of [
        ...[Buffer.from(plist), Buffer.alloc(0), Buffer.from('{}'), broken, signed.subarray(0, 500)],
        ...[Buffer.alloc(1024 * 1024, 0x30), Buffer.from('<'.repeat(1024 * 1024))],
        await machineInfo(phone, { UDID: '' }),
      ]) {
        const answer = await send(url, body)
        expect([403, 413]).toContain(answer.status)
        if (answer.status === 403) expect(answer.body).toBe('')
      }
      expect(await attempts()).toBe(before)
      expect(world.logReasons()).toContain('machine_info_invalid')
      expect(await world.counted('machine_info_invalid')).toBeGreaterThan(0)
      expect((await phone.powerOn()).outcome).toBe('enrolled')
    })

    test('signed by a stranger, it ends nobody else, and the device itself can go on', async () => {
      const phone = await world.phone(plain)
      const { url } = world.activation(phone)
      const stranger = await createFakeAppleCa(world.clock.now())
      expect((await send(url, await machineInfo(phone))).status).toBe(200)
      const open = await world.attemptOf(phone)
      world.clock.advance(1)
      const answer = await send(url, await machineInfo(phone, {}, stranger))
      expect([answer.status, answer.body]).toEqual([403, ''])
      const all = await world.attemptsOf(phone)
      expect(all.find(({ id }) => id === open.id)?.outcome).toBe('in_progress')
      expect(all).toHaveLength(1)
      expect(world.logReasons()).toContain('machine_info_untrusted')
      expect((await phone.powerOn()).outcome).toBe('enrolled')
    })

    test('with another serial number it is judged as that one, and its profile serves only that one', async () => {
      const [phone, victim] = [await world.phone(plain), await world.phone(plain)]
      const { url } = world.activation(phone)
      const unknown = await send(url, await machineInfo(phone, { SERIAL: 'NOBODY1' }))
      expect([unknown.status, unknown.body]).toEqual([403, ''])
      const { body } = await world.api('GET', '/enrollment-attempts?serial_number=NOBODY1')
      expect(body.items).toMatchObject([{ outcome: 'rejected', reason: 'unknown_serial' }])
      const lie = { changeMachineInfo: (keys: object) => ({ ...keys, SERIAL: victim.facts.serialNumber }) }
      const liar = await world.stranger({ ...lie, facts: phone.facts })
      expect((await liar.powerOn()).outcome).toBe('refused')
      expect((await world.attemptOf(victim)).reason).toBe('certificate_mismatch')
      expect((await victim.powerOn()).outcome).toBe('enrolled')
    })

    test('an unknown key is a 404 and opens no attempt', async () => {
      const phone = await world.phone(plain)
      const before = await attempts()
      const { url } = world.activation(phone)
      const answer = await send(`${url.slice(0, -4)}AAAA`, await machineInfo(phone))
      expect(answer.status).toBe(404)
      expect(await attempts()).toBe(before)
      expect(world.logReasons()).toContain('unknown_key')
    })
  })

  describe('on the web', () => {
    let oidc: FakeOidc
    let local: string
    let provider: string
    beforeAll(async () => {
      oidc = await startFakeOidc({
        ...{ clientId: 'firstboot', clientSecret: 'secret', key: testKey('other'), clock: world.clock },
        redirectUris: [`${world.url}/enroll/oidc/callback`],
        users: { olga: { password: PASSWORD, claims: { preferred_username: 'olga@example.com' } } },
      })
      const source = await world.api('POST', '/sign-in-sources', {
        ...{ kind: 'oidc', name: 'Provider', issuer: oidc.issuer, client_id: 'firstboot' },
        client_secret: 'secret',
      })
      local = await world.policy({ user_affinity: 'prompt', ade: { sign_in: 'web' } })
      provider = await world.policy({
        ...{ user_affinity: 'prompt', sign_in_source_id: source.body.id, ade: { sign_in: 'web' } },
      })
    })
    afterAll(() => oidc.close())

    test.each<[OidcTrouble, string]>([
      ['wrong_state', 'sign_in_required'],
      ['wrong_nonce', 'invalid_credentials'],
      ['wrong_issuer', 'invalid_credentials'],
      ['wrong_audience', 'invalid_credentials'],
      ['wrong_signature', 'invalid_credentials'],
      ['unsigned', 'invalid_credentials'],
      ['expired', 'invalid_credentials'],
      ['denied', 'sign_in_required'],
      ['unavailable', 'directory_unavailable'],
      ['html', 'directory_unavailable'],
    ])('OIDC with %s: nobody is signed in, %s; the next try gets in', async (trouble, reason) => {
      const person = { userName: 'olga', passwords: [PASSWORD] }
      const phone = await world.phone(provider, { person })
      oidc.script(trouble)
      const result = await phone.powerOn()
      expect(result.outcome).not.toBe('enrolled')
      expect((await world.api('GET', `/devices/${phone.facts.udid}`)).status).toBe(404)
      const seen = (await world.attemptOf(phone)).timeline.map((step) => step.reason)
      expect([...seen, ...world.logReasons()]).toContain(reason)
      world.clock.advance(1)
      expect((await phone.powerOn()).outcome).toBe('enrolled')
      expect(phone.violations()).toEqual([])
    })

    const see = async (path: string, init: RequestInit = {}) => {
      const answer = await fetch(new URL(path, world.url), { redirect: 'manual', ...init })
      const text = await answer.text()
      return {
        ...{ status: answer.status, text, location: answer.headers.get('location') },
        cookie: (answer.headers.get('set-cookie') ?? '').split(';')[0]!,
        token: /name="csrf_token" value="([^"]+)"/.exec(text)?.[1] ?? '',
      }
    }
    const open = async (phone: Phone, headers: Record<string, string> = {}) => {
      const info = (await machineInfo(phone)).toString('base64')
      return see(world.activation(phone).webUrl!, {
        headers: { 'x-apple-aspen-deviceinfo': info, ...SETUP, ...headers },
      })
    }
    const submit = (fields: Record<string, string>, headers: Record<string, string>) =>
      see('/enroll/sign-in', {
        method: 'POST',
        headers: { ...SETUP, ...headers },
        body: new URLSearchParams(fields),
      })

    test('a code that was used, and a state that is made up, sign nobody in', async () => {
      const phone = await world.phone(provider)
      const begun = await open(phone)
      expect(begun.status).toBe(303)
      for (const query of ['code=reused&state=made-up', 'state=', 'error=access_denied', 'code=x']) {
        const answer = await see(`/enroll/oidc/callback?${query}`, {
          headers: { ...SETUP, cookie: begun.cookie },
        })
        expect(answer.status).toBeLessThan(500)
        expect(answer.text).not.toContain('PayloadContent')
        const profile = await see('/enroll/profile', { headers: { ...SETUP, cookie: begun.cookie } })
        expect(profile.status).toBe(403)
      }
      const strangers = await see('/enroll/oidc/callback?code=x&state=y')
      expect(strangers.status).toBe(403)
    })

    test('a web session that another device or browser uses gives nothing', async () => {
      await world.user('wanda')
      const [mine, theirs] = [await world.phone(local), await world.phone(local)]
      const page = await open(mine)
      const fields = { csrf_token: page.token, user_name: 'wanda', password: PASSWORD }
      const foreign = { 'x-apple-aspen-deviceinfo': (await machineInfo(theirs)).toString('base64') }
      for (const headers of [{ 'user-agent': 'Another' }, foreign]) {
        const answer = await submit(fields, { cookie: page.cookie, ...headers })
        expect([answer.status, answer.location]).toEqual([403, null])
      }
      const signedIn = await submit(fields, { cookie: page.cookie })
      expect(signedIn.status).toBe(303)
      const cookie = signedIn.cookie === '' ? page.cookie : signedIn.cookie
      const stolen = await see('/enroll/profile', { headers: { 'user-agent': 'Another', cookie } })
      expect(stolen.status).toBe(403)
      expect(stolen.text).not.toContain('PayloadContent')
      expect((await open(theirs, { cookie })).status).toBe(403)
    })

    test('forms without their token, with another one or too large change nothing', async () => {
      const [phone, neighbour] = [await world.phone(local), await world.phone(local)]
      const [page, next] = [await open(phone), await open(neighbour)]
      const fields = { user_name: 'wanda', password: PASSWORD }
      const before = (await world.attemptOf(phone)).timeline.length
      const sent: Record<string, string>[] = [{}, { csrf_token: '' }, { csrf_token: next.token }]
      for (const token of sent)
        expect((await submit({ ...fields, ...token }, { cookie: page.cookie })).status).toBe(403)
      expect((await submit({ ...fields, csrf_token: page.token }, {})).status).toBe(403)
      const large = { ...fields, csrf_token: page.token, more: 'x'.repeat(100_000) }
      expect((await submit(large, { cookie: page.cookie })).status).toBe(413)
      expect((await world.attemptOf(phone)).timeline).toHaveLength(before)
      const right = await submit({ ...fields, csrf_token: page.token }, { cookie: page.cookie })
      expect(right.status).toBe(303)
    })
  })

  test('after all of it the server lives, and nothing was an internal error', async () => {
    expect((await fetch(`${world.url}/readyz`)).status).toBe(200)
    const lines = world.logText().split('\n')
    // A directory that is away is a 503, and no fault of ours.
    const isFault = (line: string) => line.includes('"level":"error"') && !line.includes('"status":503')
    expect(lines.filter(isFault)).toEqual([])
  })
})
