import { describe, expect, test } from 'vitest'
import { readMachineInfoHeader } from '../../src/protocol/ade/index.ts'
import { usePhoneStage } from './phone-stage.ts'
import type { Arrival, Said } from './phone-stage.ts'

const stage = usePhoneStage()
const alice = { userName: 'alice', passwords: ['wrong', 'right'] }

const page = (body: string, headers: Said['headers'] = {}): Said => ({
  headers: { 'content-type': 'text/html; charset=utf-8', ...headers },
  body: `<!doctype html><html lang="en"><head><title>Example</title></head><body>${body}</body></html>`,
})
const form = (alert = '') => `<h1>Sign in</h1>${alert && `<p role="alert">${alert}</p>`}
  <form method="post" action="/login"><!-- <input name="no"> --><input type="hidden" name="csrf" value="a&amp;b">
  <label>User <input name="user_name" autocomplete="username"></label>
  <label>Password <input type="password" name="password"></label>
  <input type="checkbox" name="stay"><button name="go" value="1">Sign in</button></form>`

/** Answers by path. */
function pages(by: Record<string, (arrival: Arrival) => Said | Promise<Said>>): void {
  stage.desk = (arrival) => by[arrival.url.pathname]?.(arrival) ?? { status: 404, body: '' }
}

const webPhone = (options = {}) =>
  stage.phone({ configuration_web_url: `${stage.front}/web/k` }, { person: alice, ...options })

describe('a good web view', () => {
  test('the person signs in on pages and the profile comes at the end', async () => {
    pages({
      '/web/k': () => page(form(), { 'set-cookie': 's=1; Path=/; HttpOnly; Secure; SameSite=Strict' }),
      '/login': ({ form: sent }) =>
        sent.get('password') === 'right'
          ? { status: 303, headers: { location: '/profile' } }
          : page(form('Not &#x201c;right&#8221;.')),
      '/profile': () => stage.profile(),
    })
    const phone = await webPhone()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', way: 'web', signInTries: 2 })
    expect(phone.violations()).toEqual([])
    const [first, login, , end] = stage.arrivals
    expect(first?.method).toBe('GET')
    const { info } = readMachineInfoHeader(String(first?.headers['x-apple-aspen-deviceinfo']))
    expect(info.serial).toBe(phone.facts.serialNumber)
    expect(login?.headers).not.toHaveProperty('x-apple-aspen-deviceinfo')
    expect(login?.headers).toMatchObject({ cookie: 's=1', origin: stage.front })
    expect([...login!.form]).toEqual([
      ...[
        ['csrf', 'a&b'],
        ['user_name', 'alice'],
        ['password', 'wrong'],
        ['go', '1'],
      ],
    ])
    expect(end).toMatchObject({ method: 'GET', headers: { cookie: 's=1' } })
  })

  test('links, buttons and pages that lead on by themselves are followed', async () => {
    pages({
      '/web/k': () => page('<a href="/help">Help</a> <a href="/a">Sign in with <b>Example</b></a>'),
      '/a': () => page('<form method="post" action="b"><button>Go on</button></form>'),
      '/b': () => page('', {}),
      '/profile': () => stage.profile(),
    })
    const inner = stage.desk
    stage.desk = (arrival) =>
      arrival.url.pathname === '/b'
        ? {
            headers: { 'content-type': 'text/html' },
            body: '<meta http-equiv="refresh" content="0; url=/profile">',
          }
        : inner(arrival)
    expect(await (await webPhone()).powerOn()).toMatchObject({ outcome: 'enrolled', signInTries: 0 })
  })

  test('the person may choose a link beside the form', async () => {
    pages({
      '/web/k': () => page(`${form()}<a href="/idp">Company account</a>`),
      '/idp': () => stage.profile(),
    })
    const phone = await webPhone({ person: { ...alice, link: /company/i } })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled', signInTries: 0 })
  })
})

describe('where it ends otherwise', () => {
  test('a form that comes back', async () => {
    pages({ '/web/k': () => page(form()), '/login': () => page(form('Wrong password.')) })
    expect(await (await webPhone()).powerOn()).toMatchObject({
      ...{ outcome: 'refused', screen: 'Sign in: Wrong password.', httpStatus: 200, signInTries: 2 },
    })
  })

  test('nobody who could fill it in', async () => {
    pages({ '/web/k': () => page(form()) })
    const phone = await webPhone({ person: undefined })
    expect(await phone.powerOn()).toMatchObject({ outcome: 'refused', screen: 'Sign in', signInTries: 0 })
  })

  test('a page that explains', async () => {
    pages({ '/web/k': () => ({ ...page('<h1>Too many devices</h1><p>You have 3.</p>'), status: 403 }) })
    const phone = await webPhone()
    expect(await phone.powerOn()).toMatchObject({
      outcome: 'refused',
      screen: 'Too many devices',
      httpStatus: 403,
    })
    expect(phone.violations()).toEqual([])
  })

  test('a silent 403', async () => {
    pages({ '/web/k': () => ({ status: 403 }) })
    const phone = await webPhone()
    expect(await phone.powerOn()).toMatchObject({
      outcome: 'refused',
      httpStatus: 403,
      screen: expect.stringContaining('could not be downloaded from Example AG') as string,
    })
    expect(phone.violations()).toEqual([])
  })

  test('a broken server', async () => {
    pages({ '/web/k': () => ({ ...page('<h1>Oops</h1>'), status: 500 }) })
    expect(await (await webPhone()).powerOn()).toMatchObject({ outcome: 'stuck', httpStatus: 500 })
  })
})

describe('violations', () => {
  const strange = () => stage.front.replace('127.0.0.1', 'localhost')

  test.each<[string, () => Record<string, () => Said | Promise<Said>>, string]>([
    [
      'a form that its own policy blocks',
      () => ({
        '/web/k': () => page(form(), { 'content-security-policy': "default-src 'none'; form-action 'self'" }),
        '/login': () => ({ status: 303, headers: { location: `${strange()}/idp` } }),
      }),
      'form_action_blocked',
    ],
    [
      'a profile from elsewhere',
      () => ({
        '/web/k': () => ({ status: 302, headers: { location: `${strange()}/profile` } }),
        '/profile': () => stage.profile(),
      }),
      'profile_host',
    ],
    [
      'redirects in a circle',
      () => ({ '/web/k': () => ({ status: 302, headers: { location: '/web/k' } }) }),
      'page_invalid',
    ],
    [
      'plain http',
      () => ({ '/web/k': () => ({ status: 302, headers: { location: 'http://a.example/' } }) }),
      'page_invalid',
    ],
    [
      'a text',
      () => ({ '/web/k': () => ({ headers: { 'content-type': 'text/plain' }, body: 'hm' }) }),
      'wrong_content_type',
    ],
    [
      'a __Host- cookie with a path',
      () => ({ '/web/k': () => page('', { 'set-cookie': '__Host-s=1; Secure; Path=/web' }) }),
      'cookie_invalid',
    ],
    [
      'a cookie of another domain',
      () => ({ '/web/k': () => page('', { 'set-cookie': 's=1; Domain=example.org' }) }),
      'cookie_invalid',
    ],
  ])('%s', async (_, by, kind) => {
    pages(by())
    const phone = await webPhone()
    expect((await phone.powerOn()).outcome).not.toBe('enrolled')
    expect(stage.kinds(phone)).toContain(kind)
  })

  test('a policy that names where the form goes is fine', async () => {
    pages({
      '/web/k': () => page(form(), { 'content-security-policy': `form-action 'self' ${strange()}` }),
      '/login': () => ({ status: 303, headers: { location: `${strange()}/idp` } }),
      '/idp': () => page(`<a href="${stage.front}/profile">Continue</a>`),
      '/profile': () => stage.profile(),
    })
    const phone = await webPhone()
    expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
    expect(phone.violations()).toEqual([])
  })

  test('a Strict cookie does not come back from another site, a Lax one does, until it ends', async () => {
    const cookies = [
      'strict=1; SameSite=Strict; Path=/',
      'lax=1; Path=/',
      'deep=1; Path=/deep',
      'old=1; Max-Age=0',
    ]
    pages({
      '/web/k': () => page(`<a href="${strange()}/idp">Sign in</a>`, { 'set-cookie': cookies }),
      '/idp': () => ({ status: 302, headers: { location: `${stage.front}/back` } }),
      '/back': () => page('<h1>Back</h1>'),
    })
    await (await webPhone()).powerOn()
    expect(stage.arrivals.at(-1)?.headers.cookie).toBe('lax=1')
  })
})
