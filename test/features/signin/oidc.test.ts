import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { OidcTrouble } from '../../../src/simulator/index.ts'
import { openssl } from '../../support/openssl.ts'
import { describeEachEngine } from '../../support/database.ts'
import { testKey } from '../../support/keys.ts'
import { oidcWorld, PASSWORD, PUBLIC_URL, SECRET } from './oidc-world.ts'
import { newName, signinWorld } from './signin-world.ts'
import { ACT } from '../../support/act.ts'

describeEachEngine('OpenID providers', (database) => {
  const world = (options?: Parameters<typeof oidcWorld>[1]) => oidcWorld(database(), options)

  test('someone who has signed in there becomes a user', async () => {
    const { finish, goThere, provider, name, signin, session, emitted } = await world({
      claims: { name: 'Anna Ö', email: 'anna@example.com', email_verified: true },
    })
    const result = await finish(await goThere())
    expect(result).toMatchObject({
      ok: true,
      user: { user_name: name, display_name: 'Anna Ö', email: 'anna@example.com' },
    })
    expect(emitted.at(-1)).toMatchObject({ type: 'user.created', act: { request_id: 'request-7' } })
    expect(await finish(await goThere())).toMatchObject({ ok: true, user: result.ok ? result.user : {} })
    expect(provider.violations).toEqual([])
    expect(provider.counts()).toMatchObject({
      '/.well-known/openid-configuration': 1,
      '/token': 2,
      '/jwks': 1,
    })
    expect((await signin.sessions.renew(session))?.session.state).toEqual({ attempt: 'a-1' })
  })

  test('the request is one with PKCE, state and nonce, which are new each time', async () => {
    const { start } = await world()
    const urls = [await start(), await start()].map((started) => new URL(started.ok ? started.url : ''))
    const [first, second] = urls.map((url) => Object.fromEntries(url.searchParams))
    expect(first).toEqual({
      response_type: 'code',
      client_id: 'firstboot',
      redirect_uri: `${PUBLIC_URL}/enroll/oidc/callback`,
      scope: 'openid profile email',
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
    })
    for (const name of ['state', 'nonce', 'code_challenge']) expect(first?.[name]).not.toBe(second?.[name])
  })

  test('a callback counts once, in the browser that was sent, with the state that was sent', async () => {
    const { finish, goThere, signin, provider } = await world()
    const query = await goThere()
    const { session: other } = await signin.sessions.open()
    const forged = new URLSearchParams({ ...Object.fromEntries(query), state: 'x'.repeat(43) })
    const twice = new URLSearchParams([...query, ['state', query.get('state') ?? '']])
    const none = new URLSearchParams({ code: query.get('code') ?? '' })
    for (const [asked, at] of [[forged], [twice], [none], [query, other]] as const) {
      expect(await finish(asked, at)).toEqual({
        ok: false,
        reason: 'sign_in_required',
        detail:
          'this browser is in no sign-in with that state: it came too late, twice, or from another browser',
      })
    }
    expect(await signin.oidc.finish({ session: undefined, query, requestId: 'r' })).toMatchObject({
      reason: 'sign_in_required',
    })
    expect(provider.counts()['/token']).toBeUndefined()
    const both = await Promise.all([finish(query), finish(query)])
    expect(both.filter(({ ok }) => ok)).toHaveLength(1)
    expect(await finish(query)).toMatchObject({ ok: false, reason: 'sign_in_required' })
    expect(provider.counts()['/token']).toBe(1)
  })

  test.each<[OidcTrouble, string, RegExp]>([
    ['wrong_state', 'sign_in_required', /no sign-in with that state/],
    ['wrong_nonce', 'invalid_credentials', /issuer, audience or nonce/],
    ['wrong_issuer', 'invalid_credentials', /issuer, audience or nonce/],
    ['wrong_audience', 'invalid_credentials', /issuer, audience or nonce/],
    ['wrong_signature', 'invalid_credentials', /signature|id_token/],
    ['unsigned', 'invalid_credentials', /./],
    ['expired', 'invalid_credentials', /too old/],
    ['denied', 'sign_in_required', /access_denied/],
    ['unavailable', 'directory_unavailable', /unexpected status|temporarily_unavailable/],
    ['html', 'directory_unavailable', /no JSON/],
  ])('%s is %s', async (trouble, reason, detail) => {
    const { finish, goThere, emitted, lines } = await world()
    const query = await goThere(trouble)
    const result = await finish(query)
    expect(result).toMatchObject({ ok: false, reason, detail: expect.stringMatching(detail) })
    expect(emitted.map(({ type }) => type)).not.toContain('user.created')
    const said = JSON.stringify([result, emitted, lines])
    for (const secret of [SECRET, PASSWORD, query.get('code') ?? 'no code'])
      expect(said).not.toContain(secret)
    expect(await finish(await goThere())).toMatchObject({ ok: true })
  })

  test('a code that someone has redeemed already is worth nothing', async () => {
    const { finish, goThere, start, provider } = await world()
    const used = await goThere()
    expect(await finish(used)).toMatchObject({ ok: true })
    const started = await start()
    const state = new URL(started.ok ? started.url : '').searchParams.get('state') ?? ''
    const query = new URLSearchParams({ code: used.get('code') ?? '', state, iss: provider.issuer })
    expect(await finish(query)).toMatchObject({
      reason: 'sign_in_required',
      detail: expect.stringContaining('invalid_grant'),
    })
  })

  test('an answer in the name of another provider is refused', async () => {
    const { finish, goThere, provider } = await world()
    const query = await goThere()
    query.set('iss', 'https://evil.example.com')
    expect(await finish(query)).toMatchObject({ reason: 'invalid_credentials' })
    expect(provider.counts()['/token']).toBeUndefined()
  })

  test('a wrong client secret is our fault, and a changed one counts at once', async () => {
    const { finish, goThere, signin, source } = await world({ fields: { client_secret: 'another' } })
    expect(await finish(await goThere())).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('invalid_client'),
    })
    await signin.sources.update(source.id, { client_secret: SECRET }, ACT)
    expect(await finish(await goThere())).toMatchObject({ ok: true })
  })

  test('a provider that is down is asked again the next time', async () => {
    const { start, provider, signin, source, session } = await world()
    await provider.close()
    expect(await start()).toMatchObject({
      ok: false,
      reason: 'directory_unavailable',
      detail: expect.stringContaining('nothing listens there'),
    })
    await signin.sources.remove(source.id, ACT)
    expect(await start()).toMatchObject({ detail: expect.stringContaining('does not exist any more') })
    const local = await signin.oidc.start({ sourceId: 'local', session })
    expect(local).toMatchObject({ ok: false, reason: 'directory_unavailable' })
  })

  test('nobody is led there after the end of their session', async () => {
    const { start, signin, session, provider } = await world()
    await signin.sessions.end(session)
    expect(await start()).toMatchObject({ ok: false, reason: 'sign_in_required' })
    expect(provider.violations).toEqual([])
  })

  test.each<[string, (issuer: string) => unknown, RegExp]>([
    ['another issuer', () => ({ issuer: 'https://other.example.com' }), /another issuer/],
    ['no addresses', (issuer) => ({ issuer }), /address that is needed/],
    [
      'a sign-in page without https',
      (issuer) => ({ issuer, authorization_endpoint: 'http://login.example.com/authorize' }),
      /not https/,
    ],
    [
      'a script for a sign-in page',
      (issuer) => ({ issuer, authorization_endpoint: 'javascript:alert(1)' }),
      /not https/,
    ],
    ['numbers for addresses', (issuer) => ({ issuer, authorization_endpoint: 7 }), /cannot be used|address/],
    ['a list for itself', () => [], /cannot be used|not what it must be/],
    ['a page', () => '<html>', /no JSON|directory|provider/],
  ])('a discovery document with %s is a wrong set-up', async (_, document, detail) => {
    const { signin } = signinWorld(database())
    let issuer = ''
    const server = createServer((_request, response) => {
      const body = document(issuer)
      response.setHeader('content-type', 'application/json')
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
    issuer = await listen(server, 'http')
    const fields = { name: newName(), issuer, client_id: 'a', client_secret: 'b' }
    const source = await signin.sources.create('oidc', fields, ACT)
    const { session } = await signin.sessions.open()
    expect(await signin.oidc.start({ sourceId: source.id, session })).toMatchObject({
      ok: false,
      reason: 'directory_unavailable',
      detail: expect.stringMatching(detail),
    })
  })

  test('https needs a CA that is trusted: the system’s or the source’s own', async () => {
    const { signin } = signinWorld(database())
    const { key, cert } = serverCertificate()
    let issuer = ''
    const server = createTlsServer({ key, cert }, (_request, response) => {
      const answer = { issuer, authorization_endpoint: page() }
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
    })
    issuer = await listen(server, 'https')
    let page = () => `${issuer}/authorize`
    const fields = { name: newName(), issuer, client_id: 'a', client_secret: 'b' }
    const { id: sourceId } = await signin.sources.create('oidc', fields, ACT)
    const { session } = await signin.sessions.open()
    const start = () => signin.oidc.start({ sourceId, session })
    expect(await start()).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('not trusted'),
    })
    await signin.sources.update(sourceId, { ca_pem: cert }, ACT)
    expect(await start()).toMatchObject({ ok: true, url: expect.stringContaining(`${issuer}/authorize?`) })
    page = () => 'http://127.0.0.1/authorize'
    await signin.sources.update(sourceId, { scopes: null }, ACT)
    expect(await start()).toMatchObject({
      reason: 'directory_unavailable',
      detail: expect.stringContaining('not https'),
    })
  })
})

async function listen(server: ReturnType<typeof createServer>, scheme: string): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A self-signed certificate for 127.0.0.1. */
function serverCertificate() {
  const key = testKey('device').export({ type: 'pkcs8', format: 'pem' }).toString()
  const request = ['req', '-x509', '-new', '-key', 'key.pem', '-subj', '/CN=127.0.0.1', '-days', '2']
  const { files } = openssl(
    [...request, '-addext', 'subjectAltName=IP:127.0.0.1', '-out', 'cert.pem'],
    { 'key.pem': key },
    ['cert.pem'],
  )
  return { key, cert: files['cert.pem'].toString() }
}
