import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakeAppleCa, startFakeOidc, type FakeOidc, type Phone } from '../../../src/simulator/index.ts'
import { signMachineInfo } from '../../../src/protocol/ade/index.ts'
import { startAdeApp, type AdeApp } from '../../support/ade-app.ts'
import { testDatabase, type TestDatabase } from '../../support/database.ts'
import { testKey } from '../../support/keys.ts'

const PASSWORD = 'right password'
const NEW_PASSWORD = 'a fresh and long one'

describe('the web view of Setup Assistant', () => {
  let database: TestDatabase
  let world: AdeApp
  let oidc: FakeOidc
  let local: string
  let provider: string
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: database })
    oidc = await startFakeOidc({
      clientId: 'firstboot',
      clientSecret: 'provider secret',
      key: testKey('other'),
      clock: world.clock,
      redirectUris: [`${world.url}/enroll/oidc/callback`],
      users: {
        olga: { password: 'at the provider', claims: { preferred_username: 'olga@example.com' } },
        otto: {
          password: 'at the provider',
          claims: { preferred_username: 'otto@example.com' },
          oneTimeCode: '123456',
        },
      },
    })
    local = await world.policy({ user_affinity: 'prompt', ade: { sign_in: 'web' } })
    const source = await world.api('POST', '/sign-in-sources', {
      kind: 'oidc',
      name: 'Provider',
      issuer: oidc.issuer,
      client_id: 'firstboot',
      client_secret: 'provider secret',
    })
    provider = await world.policy({
      user_affinity: 'prompt',
      sign_in_source_id: source.body.id,
      ade: { sign_in: 'web' },
    })
  })
  afterAll(async () => {
    await world.close()
    await oidc.close()
    await database.close()
  })

  const header = async (phone: Phone, ca = world.ca) => {
    const { facts } = phone
    const info = {
      UDID: facts.udid,
      SERIAL: facts.serialNumber,
      PRODUCT: facts.productName,
      VERSION: facts.buildVersion,
      OS_VERSION: facts.osVersion,
    }
    const identity = await ca.deviceIdentity(facts.serialNumber)
    world.clock.advance(1)
    return (await signMachineInfo(info, identity, { chain: ca.chain })).toString('base64')
  }
  const open = async (phone: Phone, headers: Record<string, string> = {}) =>
    get(world.activation(phone).webUrl!, {
      'x-apple-aspen-deviceinfo': await header(phone),
      'user-agent': 'Setup Assistant',
      ...headers,
    })
  const get = async (url: string, headers: Record<string, string> = {}) =>
    seen(await fetch(new URL(url, world.url), { headers, redirect: 'manual' }))
  const submit = async (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    seen(
      await fetch(`${world.url}${path}`, {
        method: 'POST',
        headers: { 'user-agent': 'Setup Assistant', ...headers },
        body: new URLSearchParams(fields),
        redirect: 'manual',
      }),
    )
  const seen = async (response: Response) => {
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      text,
      cookie: (response.headers.get('set-cookie') ?? '').split(';')[0]!,
      token: /name="csrf_token" value="([^"]+)"/.exec(text)?.[1] ?? '',
    }
  }

  test('a person signs in on the form, mistyping at first, and the phone enrols', async () => {
    await world.user('wanda')
    const person = { userName: 'wanda', passwords: ['wrong', PASSWORD] }
    const phone = await world.phone(local, { person })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'web', signInTries: 2 })
    expect(await world.attemptOf(phone)).toMatchObject({
      way: 'ade_web',
      outcome: 'enrolled',
      user_name: 'wanda',
      policy_id: local,
      timeline: expect.arrayContaining([
        expect.objectContaining({ step: 'sign_in', reason: 'invalid_credentials' }),
      ]),
    })
    expect(phone.violations()).toEqual([])
  })

  test.each([
    ['expired-one', { password_expires_at: '2020-01-01T00:00:00Z' }],
    ['must-change', { must_change_password: true }],
  ])('a password of someone %s is changed on the way', async (name, fields) => {
    const id = await world.user(name, fields)
    const phone = await world.phone(local, {
      person: { userName: name, passwords: [PASSWORD], newPassword: NEW_PASSWORD },
    })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
    expect(phone.violations()).toEqual([])
    const user = (await world.api('GET', `/users/${id}`)).body
    expect(user).toMatchObject({ must_change_password: false, password_expires_at: null })
    expect(world.logText()).not.toContain(NEW_PASSWORD)
    const kept = await database.kysely.selectFrom('web_sessions').selectAll().execute()
    for (const { state } of kept) expect(state.toString('latin1')).not.toContain(PASSWORD)
  })

  test('a new password that will not do is refused with the reason', async () => {
    await world.user('shorty', { must_change_password: true })
    const phone = await world.phone(local)
    const page = await open(phone)
    const headers = { cookie: page.cookie }
    const fields = { csrf_token: page.token, user_name: 'shorty', password: PASSWORD }
    const change = await submit('/enroll/sign-in', fields, headers)
    expect(change.text).toContain('must be changed')
    expect((await submit('/enroll/sign-in', fields, headers)).status).toBe(403)
    headers.cookie = change.cookie
    const short = { csrf_token: change.token, new_password: 'short', new_password_again: 'short' }
    const refused = await submit('/enroll/password', short, headers)
    expect(refused.status).toBe(422)
    expect(refused.text).toContain('12 characters')
    const unequal = { ...short, new_password_again: 'other' }
    expect((await submit('/enroll/password', unequal, headers)).text).toContain('not the same')
  })

  test('a provider with its own page vouches for a person, second factor and all', async () => {
    for (const [userName, more] of [
      ['olga', {}],
      ['otto', { oneTimeCode: '123456' }],
    ] as const) {
      const phone = await world.phone(provider, {
        person: { userName, passwords: ['at the provider'], ...more },
      })
      expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'web' })
      expect((await world.attemptOf(phone)).user_name).toBe(`${userName}@example.com`)
      expect(phone.violations()).toEqual([])
    }
    expect(oidc.violations).toEqual([])
  })

  test.each([
    ['wrong_state', 'sign_in_required'],
    ['wrong_nonce', 'invalid_credentials'],
    ['wrong_issuer', 'invalid_credentials'],
    ['denied', 'sign_in_required'],
    ['unavailable', 'directory_unavailable'],
  ] as const)('a provider that does %s lets nobody in: %s', async (trouble, reason) => {
    oidc.script(trouble)
    const phone = await world.phone(provider, {
      person: { userName: 'olga', passwords: ['at the provider'] },
    })
    const result = await phone.powerOn()
    expect(result.outcome).not.toBe('enrolled')
    const attempt = await world.attemptOf(phone)
    expect(attempt.timeline.map((step) => step.reason)).toContain(reason)
    expect(attempt.timeline.map(({ step }) => step)).not.toContain('profile')
  })

  test('over the limit the page is neutral, or with `explain` says how many devices there are', async () => {
    await world.user('webber', { device_limit: 0 })
    const phone = await world.phone(local)
    const trySignIn = async () => {
      const page = await open(phone)
      const fields = { csrf_token: page.token, user_name: 'webber', password: PASSWORD }
      return submit('/enroll/sign-in', fields, { cookie: page.cookie })
    }
    const silent = await trySignIn()
    expect(silent.status).toBe(403)
    expect(silent.text).not.toMatch(/limit|0 of 0|too many/i)
    await world.api('PATCH', '/settings', { device_limit_message: 'explain' })
    const told = await trySignIn()
    expect(told.status).toBe(403)
    expect(told.text).toContain('You have 0 of 0 devices')
    await world.api('PATCH', '/settings', { device_limit_message: 'silent' })
    expect(await world.attemptOf(phone)).toMatchObject({
      outcome: 'rejected',
      reason: 'device_limit_exceeded',
    })
  })

  test('without the header there is nothing here; an unknown key is a 404; unreadable or untrusted is refused', async () => {
    const phone = await world.phone(local)
    const { webUrl } = world.activation(phone)
    expect((await get(webUrl!)).status).toBe(400)
    expect((await get('/enroll/web/guess', { 'x-apple-aspen-deviceinfo': await header(phone) })).status).toBe(
      404,
    )
    const broken = await get(webUrl!, { 'x-apple-aspen-deviceinfo': 'AAAA' })
    expect(broken.status).toBe(403)
    expect(await world.attemptsOf(phone)).toEqual([])
    const wrong = await createFakeAppleCa(world.clock.now())
    const stranger = await get(webUrl!, { 'x-apple-aspen-deviceinfo': await header(phone, wrong) })
    expect(stranger.status).toBe(403)
    expect(await world.attemptsOf(phone)).toEqual([])
    expect(await world.counted('machine_info_untrusted')).toBeGreaterThan(0)
    // The refusals are told apart by their reference alone.
    const plain = (text: string) => text.replace(/For your administrator: [^<]*/, '')
    expect(plain(stranger.text)).toBe(plain(broken.text))
  })

  test('the native way is closed under a policy of the web', async () => {
    const phone = await world.phone(local)
    const { url } = world.activation(phone)
    const answer = await fetch(url, {
      method: 'POST',
      body: new Uint8Array(Buffer.from(await header(phone), 'base64')),
    })
    expect(answer.status).toBe(403)
    expect(answer.headers.get('www-authenticate')).toBeNull()
    expect(await world.attemptOf(phone)).toMatchObject({ way: 'ade', reason: 'sign_in_required' })
  })

  test('a session serves its own device and browser alone', async () => {
    await world.user('session')
    const [phone, other] = [await world.phone(local), await world.phone(local)]
    const page = await open(phone)
    const theft = await open(other, { cookie: page.cookie })
    expect(theft.status).toBe(403)
    expect(theft.headers.get('set-cookie')).toContain('Max-Age=0')
    expect(await world.attemptOf(other)).toMatchObject({ reason: 'sign_in_required', outcome: 'rejected' })

    const again = await open(phone)
    const fields = { csrf_token: again.token, user_name: 'session', password: PASSWORD }
    const elsewhere = { cookie: again.cookie, 'user-agent': 'another browser' }
    expect((await submit('/enroll/sign-in', fields, elsewhere)).status).toBe(403)
    const withHeader = { cookie: again.cookie, 'x-apple-aspen-deviceinfo': await header(other) }
    expect((await submit('/enroll/sign-in', fields, withHeader)).status).toBe(403)
    const own = await submit('/enroll/sign-in', fields, { cookie: again.cookie })
    expect(own.status).toBe(303)
    expect(own.headers.get('location')).toBe('/enroll/profile')
    // Whoever knew the id from before the sign-in has nothing.
    expect(
      (await get('/enroll/profile', { cookie: again.cookie, 'user-agent': 'Setup Assistant' })).status,
    ).toBe(403)
    const profile = await get('/enroll/profile', { cookie: own.cookie, 'user-agent': 'Setup Assistant' })
    expect(profile.status).toBe(200)
    expect(profile.headers.get('content-type')).toContain('application/x-apple-aspen-config')
    for (const cookie of [page.cookie, again.cookie, own.cookie])
      expect(world.logText()).not.toContain(cookie.split('=')[1])
  })

  test('forms without the token of their session change nothing', async () => {
    const phone = await world.phone(local)
    const page = await open(phone)
    const fields = { user_name: 'session', password: PASSWORD }
    expect((await submit('/enroll/sign-in', fields, { cookie: page.cookie })).status).toBe(403)
    expect(
      (await submit('/enroll/sign-in', { ...fields, csrf_token: 'guess' }, { cookie: page.cookie })).status,
    ).toBe(403)
    expect((await submit('/enroll/sign-in', { ...fields, csrf_token: page.token })).status).toBe(403)
    expect((await world.attemptOf(phone)).timeline.map(({ step }) => step)).toEqual(['contact', 'assignment'])
  })

  test('pages run no script, are kept nowhere, and show what was typed as text', async () => {
    const phone = await world.phone(local)
    const page = await open(phone)
    const evil = '"><script>alert(1)</script><b x=\'&'
    const fields = { csrf_token: page.token, user_name: evil, password: 'x' }
    const answer = await submit('/enroll/sign-in', fields, { cookie: page.cookie })
    expect(answer.status).toBe(422)
    expect(answer.text).not.toContain('<script')
    expect(answer.text).toContain('value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b x=&#39;&amp;"')
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|script-src/)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-frame-options')).toBe('DENY')
    expect(answer.headers.get('referrer-policy')).toBe('same-origin')
    const style = /<style>([^]*)<\/style>/.exec(answer.text)?.[1] ?? ''
    const { createHash } = await import('node:crypto')
    expect(policy).toContain(createHash('sha256').update(style).digest('base64'))
  })

  test('after the profile, powering on again goes on in the same attempt, until one profile is used', async () => {
    await world.user('twice')
    const phone = await world.phone(local)
    const page = await open(phone)
    const fields = { csrf_token: page.token, user_name: 'twice', password: PASSWORD }
    const done = await submit('/enroll/sign-in', fields, { cookie: page.cookie })
    const mine = { cookie: done.cookie, 'user-agent': 'Setup Assistant' }
    expect((await get('/enroll/profile', mine)).status).toBe(200)
    await open(phone)
    const again = await fetch(new URL('/enroll/profile', world.url), { headers: mine })
    expect(again.status).toBe(200)
    const [attempt, ...others] = await world.attemptsOf(phone)
    expect(others).toEqual([])
    expect(attempt?.outcome).toBe('in_progress')
    const profile = Buffer.from(await again.arrayBuffer())
    expect(await phone.device.enroll({ profile })).toMatchObject({ enrolled: true })
    expect((await get('/enroll/profile', mine)).status).toBe(403)
  })

  test('whoever has a copy of what a phone said takes it from nobody, and ends nothing', async () => {
    await world.user('owner')
    await world.user('thief', { device_limit: 0 })
    const phone = await world.phone(local)
    const page = await open(phone)
    const signIn = (user_name: string, { token, cookie }: typeof page) =>
      submit('/enroll/sign-in', { csrf_token: token, user_name, password: PASSWORD }, { cookie })
    const owner = await signIn('owner', page)
    const given = await fetch(new URL('/enroll/profile', world.url), {
      headers: { cookie: owner.cookie, 'user-agent': 'Setup Assistant' },
    })
    expect((await signIn('thief', await open(phone))).status).toBe(403)
    const { id } = await world.attemptOf(phone)
    expect(await world.attemptOf(phone)).toMatchObject({ outcome: 'in_progress' })
    const profile = Buffer.from(await given.arrayBuffer())
    expect(await phone.device.enroll({ profile })).toMatchObject({ enrolled: true })
    expect(await world.attemptOf(phone)).toMatchObject({ id, outcome: 'enrolled', user_name: 'owner' })
    const device = (await world.api('GET', `/devices/${phone.facts.udid}`)).body
    expect(device).toMatchObject({ user_name: 'owner' })
  })
})
