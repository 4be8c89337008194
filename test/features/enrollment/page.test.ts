import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeDirectory, startFakeOidc } from '../../../src/simulator/index.ts'
import type { FakeDirectory, FakeOidc } from '../../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../../support/app.ts'
import { testDatabase, type TestDatabase } from '../../support/database.ts'
import { testKey } from '../../support/keys.ts'

const PASSWORD = 'right password'

describe('the enrollment page', () => {
  let database: TestDatabase
  let world: TestApp
  let directory: FakeDirectory
  let oidc: FakeOidc
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startTestApp({ db: database })
    directory = await startFakeDirectory({
      clock: world.clock,
      users: [{ userName: 'dora@example.com', password: 'of the directory' }] as never,
    })
    oidc = await startFakeOidc({
      clientId: 'firstboot',
      clientSecret: 'provider secret',
      key: testKey('other'),
      clock: world.clock,
      redirectUris: [`${world.url}/enroll/oidc/callback`],
      users: { olga: { password: 'p', claims: { preferred_username: 'olga@example.com' } } },
    })
    await world.api('POST', '/users', { user_name: 'ada', password: PASSWORD, device_limit: 1 })
  })
  afterAll(async () => {
    await world.close()
    await directory.close()
    await oidc.close()
    await database.close()
  })

  const get = async (path: string, cookie = '') =>
    seen(await fetch(`${world.url}${path}`, { headers: cookie ? { cookie } : {}, redirect: 'manual' }))
  const submit = async (path: string, fields: Record<string, string>, cookie = '') =>
    seen(
      await fetch(`${world.url}${path}`, {
        method: 'POST',
        headers: cookie ? { cookie } : {},
        body: new URLSearchParams(fields),
        redirect: 'manual',
      }),
    )
  const seen = async (response: Response) => {
    // Ids of the same millisecond have no order.
    world.clock.advance(1)
    const body = Buffer.from(await response.arrayBuffer())
    const text = body.toString()
    return {
      status: response.status,
      headers: response.headers,
      body,
      text,
      cookie: (response.headers.get('set-cookie') ?? '').split(';')[0]!,
      token: /name="csrf_token" value="([^"]+)"/.exec(text)?.[1] ?? '',
    }
  }
  const signIn = async (user_name: string, password: string) => {
    const page = await get('/enroll')
    return submit('/enroll', { csrf_token: page.token, user_name, password }, page.cookie)
  }
  const sessions = () => database.kysely.selectFrom('web_sessions').select('id_hash').execute()
  /** The lines of the log that tell of refusals with this reason. */
  const refusals = (reason: string) =>
    world
      .logText()
      .split('\n')
      .filter((line) => line.includes(`"reason":"${reason}"`) && line.includes('"event":"enrollment.'))
      .map((line) => JSON.parse(line) as object)
  const newest = async () => (await world.api('GET', '/enrollment-attempts?limit=1')).body.items[0]

  test('a person signs in, reads what to tap next, downloads the profile, and the device is theirs', async () => {
    const page = await get('/enroll')
    expect(page.status).toBe(200)
    for (const part of [
      '<html lang="en">',
      '<label for="user_name">',
      '<label for="password">',
      'name="viewport"',
    ])
      expect(page.text).toContain(part)
    const done = await submit(
      '/enroll',
      { csrf_token: page.token, user_name: 'ADA', password: PASSWORD },
      page.cookie,
    )
    expect(done.headers.get('location')).toBe('/enroll/ready')
    const ready = await get('/enroll/ready', done.cookie)
    expect(ready.text).toContain('Signed in as ada')
    expect(ready.text).toContain('Profile Downloaded')
    const first = await get('/enroll/profile', done.cookie)
    const second = await get('/enroll/profile', done.cookie)
    expect(second.headers.get('content-type')).toContain('application/x-apple-aspen-config')
    const stale = world.device()
    expect(await stale.enroll({ profile: first.body })).toMatchObject({ enrolled: false })
    const device = world.device()
    expect(await device.enroll({ profile: second.body })).toMatchObject({ enrolled: true })
    expect(await newest()).toMatchObject({ way: 'page', outcome: 'enrolled', user_name: 'ada' })
    expect((await world.api('GET', `/devices/${device.facts.udid}`)).body).toMatchObject({ user_name: 'ada' })
    // What has enrolled a device is of no use for another one.
    expect((await get('/enroll/profile', done.cookie)).status).toBe(403)
  })

  test('the limit is the same, told only when it may be', async () => {
    const silent = await signIn('ada', PASSWORD)
    expect(silent.status).toBe(403)
    expect(silent.text).not.toMatch(/1 of 1|limit/)
    expect(await newest()).toMatchObject({ way: 'page', outcome: 'enrolled' })
    expect(refusals('device_limit_exceeded')).toMatchObject([{ way: 'page', user_name: 'ada' }])
    await world.api('PATCH', '/settings', { device_limit_message: 'explain' })
    expect((await signIn('ada', PASSWORD)).text).toContain('You have 1 of 1 devices')
  })

  test('a wrong password is told plainly with the form again, and writes nothing but its count', async () => {
    const page = await get('/enroll')
    const before = { attempt: (await newest()).id, sessions: await sessions() }
    const fields = { csrf_token: page.token, user_name: 'ada', password: 'wrong' }
    const first = await submit('/enroll', fields, page.cookie)
    expect(first.status).toBe(422)
    expect(first.text).toContain('role="alert"')
    expect(first.text).toContain('The user name or the password is wrong.')
    expect(first.text).toContain('aria-describedby="problem"')
    await submit('/enroll', fields, page.cookie)
    const unknown = await submit('/enroll', { ...fields, user_name: 'nobody@example.com' }, page.cookie)
    expect(unknown.text).toContain('The user name or the password is wrong.')
    expect(refusals('invalid_credentials')).toMatchObject([{ user_name: 'ada' }, { user_name: 'ada' }])
    expect(refusals('user_unknown')).toMatchObject([{ user_name: 'nobody@example.com' }])
    expect({ attempt: (await newest()).id, sessions: await sessions() }).toEqual(before)
    for (let second = 0; second < 5; second++) await world.pass(1_000)
    const { items } = (await world.api('GET', '/events?type=enrollment.sign_in_refused')).body
    expect(items).toContainEqual(
      expect.objectContaining({
        reason: 'user_unknown',
        user_name: 'nobody@example.com',
        attempt_id: null,
        data: expect.objectContaining({ count: 1, network: '127.0.0.1', ways: ['page'] }) as object,
      }),
    )
  })

  test('reading the page writes nothing, however often; its cookie is good for a form, and for no other browser', async () => {
    const before = await sessions()
    const page = await get('/enroll')
    const again = await get('/enroll', page.cookie)
    expect([again.cookie, again.token]).toEqual(['', page.token])
    expect(await sessions()).toEqual(before)
    const fields = { csrf_token: page.token, user_name: 'ada', password: 'wrong' }
    expect((await submit('/enroll', fields, page.cookie)).status).toBe(422)
    const damaged = page.cookie.slice(0, -3) + (page.cookie.endsWith('AAA') ? 'BBB' : 'AAA')
    for (const cookie of [damaged, damaged.slice(0, 60), (await get('/enroll')).cookie])
      expect((await submit('/enroll', fields, cookie)).status).toBe(403)
    const elsewhere = await fetch(`${world.url}/enroll`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { cookie: page.cookie, 'user-agent': 'another' },
    })
    expect(elsewhere.status).toBe(403)
    world.clock.advance(31 * 60_000)
    expect((await submit('/enroll', fields, page.cookie)).status).toBe(403)
    expect(await sessions()).toEqual(before)
  })

  test('the page speaks the language of its reader, for the organization of the settings', async () => {
    const named = { organization_name: 'Muster <AG>', support_phone_number: '031 555 01 00' }
    expect((await world.api('PATCH', '/settings', named)).body).toMatchObject(named)
    for (const [language, heading, wrong] of [
      ['fr-CH,fr;q=0.9', 'Se connecter pour inscrire cet appareil', 'est incorrect'],
      ['de', 'Anmelden, um dieses Gerät zu registrieren', 'ist falsch'],
      ['en-GB', 'Sign in to enroll this device', 'is wrong'],
    ] as const) {
      const headers = { 'accept-language': language }
      const page = await seen(await fetch(`${world.url}/enroll`, { headers }))
      expect(page.text).toContain(heading)
      expect(page.text).toContain(`<html lang="${language.slice(0, 2)}">`)
      for (const part of ['Muster &lt;AG&gt;', 'href="tel:0315550100"']) expect(page.text).toContain(part)
      const answer = await fetch(`${world.url}/enroll`, {
        method: 'POST',
        headers: { ...headers, cookie: page.cookie },
        body: new URLSearchParams({
          csrf_token: page.token,
          user_name: `in-${language.slice(0, 2)}`,
          password: 'wrong',
        }),
      })
      expect(await answer.text()).toContain(wrong)
    }
    await world.api('PATCH', '/settings', { organization_name: null, support_phone_number: null })
    expect((await get('/enroll')).text).not.toContain('tel:')
    for (const name of ['', 'line\nend', 'x'.repeat(200)])
      expect((await world.api('PATCH', '/settings', { organization_name: name })).status).toBe(400)
  })

  test('forms without a token, or of another kind, change nothing', async () => {
    const before = (await newest()).id
    expect((await submit('/enroll', { user_name: 'ada', password: PASSWORD })).status).toBe(403)
    const json = await fetch(`${world.url}/enroll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user_name: 'ada', password: PASSWORD }),
    })
    expect(json.status).toBe(403)
    const long = await submit('/enroll', { password: 'x'.repeat(64 * 1024) })
    expect(long.status).toBe(413)
    expect((await newest()).id).toBe(before)
    for (const path of [
      '/enroll/ready',
      '/enroll/profile',
      '/enroll/sign-in',
      '/enroll/oidc/callback?code=1&state=2',
    ])
      expect((await get(path)).status).toBe(403)
  })

  test('a look by HEAD opens nothing', async () => {
    const before = await sessions()
    expect((await fetch(`${world.url}/enroll`, { method: 'HEAD' })).status).toBeGreaterThanOrEqual(400)
    expect(await sessions()).toEqual(before)
  })

  test('the directory of the settings is asked; one that is down is no wrong password', async () => {
    const source = await world.api('POST', '/sign-in-sources', {
      kind: 'ws_trust',
      name: 'AD FS',
      url: directory.endpoint,
      applies_to: 'urn:federation:MicrosoftOnline',
    })
    expect(source.status).toBe(201)
    await world.api('PATCH', '/settings', { enroll_sign_in_source_id: source.body.id })
    expect((await signIn('dora@example.com', 'of the directory')).status).toBe(303)
    directory.setMode('down')
    const down = await signIn('dora@example.com', 'of the directory')
    expect(down.status).toBe(503)
    expect(down.text).toContain('not possible at the moment')
    expect(refusals('directory_unavailable')).toHaveLength(1)
    directory.setMode('up')
    await world.api('PATCH', '/settings', { enroll_sign_in_source_id: null })
  })

  test('OpenID providers are links, escaped, and lead back to the profile', async () => {
    const name = '<Provider> & "Sons"'
    const source = await world.api('POST', '/sign-in-sources', {
      kind: 'oidc',
      name,
      issuer: oidc.issuer,
      client_id: 'firstboot',
      client_secret: 'provider secret',
    })
    expect(source.status).toBe(201)
    const page = await get('/enroll')
    expect(page.text).toContain('Sign in with &lt;Provider&gt; &amp; &quot;Sons&quot;')
    const href = /href="(\/enroll\/oidc\/start[^"]+)"/.exec(page.text)?.[1] ?? ''
    const away = await get(href, page.cookie)
    expect(away.status).toBe(303)
    const question = await fetch(away.headers.get('location')!)
    const html = await question.text()
    const action = new URL(/action="([^"]*)"/.exec(html)?.[1] ?? '', question.url)
    const hidden = [...html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([tag]) => [
      /name="([^"]*)"/.exec(tag)?.[1] ?? '',
      /value="([^"]*)"/.exec(tag)?.[1] ?? '',
    ])
    const names = [...html.matchAll(/<input[^>]*name="([^"]*)"/g)].map(([, each = '']) => each)
    const form = new URLSearchParams(hidden as [string, string][])
    for (const each of names) if (/user|login|name/i.test(each)) form.set(each, 'olga')
    for (const each of names) if (/pass/i.test(each)) form.set(each, 'p')
    const back = await fetch(action, { method: 'POST', body: form, redirect: 'manual' })
    const callback = new URL(back.headers.get('location')!)
    expect((await get(callback.pathname + callback.search, page.cookie)).status).toBe(422)
    const done = await get(callback.pathname + callback.search, away.cookie)
    expect(done.headers.get('location')).toBe('/enroll/ready')
    expect((await get('/enroll/ready', done.cookie)).text).toContain('olga@example.com')
    // A code that comes a second time is worth nothing, nor is one in another browser.
    expect((await get(callback.pathname + callback.search, done.cookie)).status).toBe(422)
    expect((await get(callback.pathname + callback.search)).status).toBe(403)
    expect(oidc.violations).toEqual([])
  })

  test('without a push certificate nobody gets in, and the reason says so', async () => {
    const other = await testDatabase('postgres')
    const bare = await startTestApp({ db: other, apns: world.apns })
    try {
      await bare.api('POST', '/users', { user_name: 'ada', password: PASSWORD })
      const page = await fetch(`${bare.url}/enroll`)
      const token = /name="csrf_token" value="([^"]+)"/.exec(await page.text())?.[1] ?? ''
      const answer = await fetch(`${bare.url}/enroll`, {
        method: 'POST',
        headers: { cookie: (page.headers.get('set-cookie') ?? '').split(';')[0]! },
        body: new URLSearchParams({ csrf_token: token, user_name: 'ada', password: PASSWORD }),
      })
      expect(answer.status).toBe(403)
      expect((await bare.api('GET', '/enrollment-attempts')).body.items).toEqual([])
      expect(bare.logText()).toContain('push_certificate_missing')
    } finally {
      await bare.close()
      await other.close()
    }
  })
})
