import { expect, test } from 'vitest'
import { createSources } from '../../../src/features/signin/sources/sources.ts'
import { resealAll } from '../../../src/db/index.ts'
import { createSecretBox } from '../../../src/kernel/secret-box.ts'
import { selfSigned } from '../../support/certificates.ts'
import { describeEachEngine } from '../../support/database.ts'
import { newName, signinWorld } from './signin-world.ts'
import { ACT } from '../../support/act.ts'

const WS_TRUST = { kind: 'ws_trust', url: 'https://fs.example.com/adfs/services/trust/13/usernamemixed' }
const OIDC = {
  kind: 'oidc',
  issuer: 'https://login.example.com/tenant',
  client_id: 'firstboot',
  client_secret: 'the-client-secret-of-these-tests',
}
const { certPem, keyPem } = selfSigned('Company CA', 'ca')

/** What is wrong with each of these, by field. */
const WRONG: [object, Record<string, RegExp>][] = [
  [{ ...WS_TRUST, url: 'http://fs.example.com/x' }, { url: /must be https/ }],
  [{ ...WS_TRUST, url: 'fs.example.com' }, { url: /is no URL/ }],
  [{ ...WS_TRUST, url: 'https://a:b@fs.example.com/' }, { url: /user name or password/ }],
  [{ ...WS_TRUST, url: 'ftp://127.0.0.1/' }, { url: /must be https/ }],
  [{ kind: 'ws_trust' }, { url: /is missing/ }],
  [{ ...WS_TRUST, url: null }, { url: /./ }],
  [{ ...WS_TRUST, ca_pem: 'no PEM' }, { ca_pem: /holds no certificate/ }],
  [{ ...WS_TRUST, ca_pem: certPem.replace('MII', 'AAA') }, { ca_pem: /is not a list of certificates/ }],
  [{ ...WS_TRUST, ca_pem: certPem + keyPem }, { ca_pem: /private key/ }],
  [{ ...WS_TRUST, issuer: OIDC.issuer }, { issuer: /is no field of a source of kind ws_trust/ }],
  [{ ...WS_TRUST, client_secret: 'x' }, { client_secret: /is no field/ }],
  [{ ...OIDC, client_secret: undefined }, { client_secret: /is missing/ }],
  [{ kind: 'oidc' }, { issuer: /is missing/, client_id: /is missing/, client_secret: /is missing/ }],
  [{ ...OIDC, issuer: 'https://login.example.com/?a=b' }, { issuer: /query/ }],
  [
    { ...OIDC, issuer: 'http://login.example.com', scopes: ['email'] },
    { issuer: /https/, scopes: /openid/ },
  ],
  [
    { ...OIDC, url: WS_TRUST.url, applies_to: 'x' },
    { url: /no field/, applies_to: /no field/ },
  ],
  [{ ...OIDC, kind: 'saml' }, { kind: /must be one of/ }],
  [{ ...OIDC, secret: 'x' }, { secret: /not known/ }],
]

describeEachEngine('sign-in sources', (database) => {
  test('the local one is there once and stays', async () => {
    const { call } = await signinWorld(database()).api()
    expect((await call('GET', '/sign-in-sources/local')).body).toEqual({
      id: 'local',
      kind: 'local',
      name: 'Local accounts',
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
    expect(await call('POST', '/sign-in-sources', { kind: 'local', name: newName() })).toMatchObject({
      status: 409,
      body: { detail: 'The local source is there already; there is only one.' },
    })
    expect(await call('DELETE', '/sign-in-sources/local')).toMatchObject({
      status: 409,
      body: { detail: 'The local source cannot be deleted.' },
    })
    expect(await call('PATCH', '/sign-in-sources/local', { url: WS_TRUST.url })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'url', message: 'is no field of a source of kind local' }] },
    })
  })

  test('a directory has defaults, and null gives them back', async () => {
    const { call } = await signinWorld(database()).api()
    const made = await call('POST', '/sign-in-sources', { ...WS_TRUST, name: 'Company' })
    expect(made).toMatchObject({
      status: 201,
      headers: { etag: '"1"', location: `/api/v1/sign-in-sources/${made.body.id}` },
    })
    expect(made.body).toEqual({
      ...WS_TRUST,
      id: expect.any(String),
      name: 'Company',
      applies_to: 'urn:federation:MicrosoftOnline',
      ca_pem: null,
      create_users: true,
      links_existing_users: false,
      created_at: expect.stringMatching(/Z$/),
      updated_at: made.body.created_at,
    })
    const path = `/sign-in-sources/${made.body.id}`
    const other = {
      applies_to: 'urn:company',
      ca_pem: certPem,
      create_users: false,
      links_existing_users: true,
    }
    const patched = await call('PATCH', path, other, { 'if-match': '"1"' })
    expect(patched).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: other })
    expect((await call('PATCH', path, {}, { 'if-match': '"1"' })).status).toBe(412)
    const back = { applies_to: null, ca_pem: null, create_users: null, links_existing_users: null }
    expect((await call('PATCH', path, back)).body).toMatchObject({
      applies_to: 'urn:federation:MicrosoftOnline',
      ca_pem: null,
      create_users: true,
      links_existing_users: false,
    })
    expect((await call('GET', path)).body.url).toBe(WS_TRUST.url)
  })

  test('a client secret is sealed, and never told', async () => {
    const { api, db, signin, emitted, lines, secretBox } = signinWorld(database())
    const { call } = await api()
    const made = await call('POST', '/sign-in-sources', { ...OIDC, name: newName() })
    expect(made.body).toMatchObject({
      issuer: OIDC.issuer,
      client_id: 'firstboot',
      scopes: ['openid', 'profile', 'email'],
      user_name_claim: null,
    })
    const told = JSON.stringify([made.body, await call('GET', '/sign-in-sources'), emitted, lines])
    expect(told).toContain(OIDC.issuer)
    expect(told).not.toMatch(/client_secret"|secret-of-these/)
    const { id } = made.body
    const { client_secret: sealed, config } = await db.kysely
      .selectFrom('sign_in_sources')
      .select(['client_secret', 'config'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    expect(sealed?.includes(OIDC.client_secret)).toBe(false)
    expect(JSON.stringify(config)).not.toContain(OIDC.client_secret)
    expect(await signin.sources.clientSecret({ id })).toBe(OIDC.client_secret)
    await call('PATCH', `/sign-in-sources/${id}`, { scopes: 'openid email' })
    expect(await signin.sources.clientSecret({ id })).toBe(OIDC.client_secret)
    await call('PATCH', `/sign-in-sources/${id}`, { client_secret: 'another one' })
    expect(await signin.sources.clientSecret({ id })).toBe('another one')
    expect((await call('GET', `/sign-in-sources/${id}`)).body.scopes).toEqual(['openid', 'email'])
    expect(emitted).toMatchObject([
      { type: 'signin_source.created' },
      { type: 'signin_source.updated', data: { changed: ['scopes'] } },
      { type: 'signin_source.updated', data: { changed: ['client_secret'] } },
    ])
    expect(secretBox.needsReseal(sealed ?? Buffer.alloc(0))).toBe(false)
  })

  test('a client secret is sealed anew with a new key', async () => {
    const { db, ...world } = signinWorld(database())
    const fields = { name: newName(), issuer: OIDC.issuer, client_id: 'x', client_secret: 'rotate me' }
    const { id } = await world.signin.sources.create('oidc', fields, ACT)
    const rotated = createSecretBox({ key: Buffer.alloc(32, 9), previous: Buffer.alloc(32, 7) })
    expect(await resealAll(db, rotated)).toBeGreaterThan(0)
    expect(await resealAll(db, rotated)).toBe(0)
    const alone = createSecretBox({ key: Buffer.alloc(32, 9) })
    const fresh = createSources({ ...world, db, secretBox: alone })
    expect(await fresh.clientSecret({ id })).toBe('rotate me')
    await world.signin.sources.remove(id, ACT)
  })

  test('one that is used cannot be deleted', async () => {
    const { api, signin, db, emitted } = signinWorld(database())
    const { call } = await api()
    const { body } = await call('POST', '/sign-in-sources', { ...WS_TRUST, name: newName() })
    await db.kysely
      .updateTable('settings')
      .set({ values: JSON.stringify({ enroll_sign_in_source_id: body.id }) })
      .execute()
    expect(await call('DELETE', `/sign-in-sources/${body.id}`)).toMatchObject({
      status: 409,
      body: {
        detail: 'The source is in use: the page /enroll.',
      },
    })
    const found = await db.transaction((trx) => signin.findSource(trx, body.id))
    expect(found).toMatchObject({ kind: 'ws_trust', id: body.id })
    await db.kysely.updateTable('settings').set({ values: '{}' }).execute()
    expect((await call('DELETE', `/sign-in-sources/${body.id}`)).status).toBe(204)
    expect((await call('DELETE', `/sign-in-sources/${body.id}`)).status).toBe(404)
    expect(emitted.at(-1)).toMatchObject({ type: 'signin_source.deleted', data: { source_id: body.id } })
  })

  test('names are unique, and lists go by them', async () => {
    const { call } = await signinWorld(database()).api()
    const name = newName('unique')
    const { body } = await call('POST', '/sign-in-sources', { ...WS_TRUST, name })
    const other = await call('POST', '/sign-in-sources', { ...WS_TRUST, name: newName('unique') })
    expect(await call('POST', '/sign-in-sources', { ...OIDC, name })).toMatchObject({
      status: 409,
      body: { errors: [{ path: 'name', message: 'is taken' }] },
    })
    expect((await call('PATCH', `/sign-in-sources/${other.body.id}`, { name })).status).toBe(409)
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = await call('GET', `/sign-in-sources?limit=1${cursor && `&cursor=${cursor}`}`)
      seen.push(...page.body.items.map((source: { id: string }) => source.id))
      cursor = page.body.next_cursor
    }
    expect(seen).toEqual(expect.arrayContaining(['local', body.id, other.body.id]))
    expect(new Set(seen).size).toBe(seen.length)
  })

  test('wrong descriptions are refused, every field by name', async () => {
    const { call } = await signinWorld(database()).api()
    for (const [body, expected] of WRONG) {
      const answer = await call('POST', '/sign-in-sources', { name: newName(), ...body })
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
      const errors: { path: string; message: string }[] = answer.body.errors
      expect(errors.map(({ path }) => path).toSorted()).toEqual(Object.keys(expected).toSorted())
      for (const [path, message] of Object.entries(expected)) {
        expect(errors.find((error) => error.path === path)?.message).toMatch(message)
      }
      expect(JSON.stringify(answer.body)).not.toContain(OIDC.client_secret)
    }
  })

  test('plain http is for this machine alone', async () => {
    const { call } = await signinWorld(database()).api()
    for (const url of ['http://127.0.0.1:9/x', 'http://localhost/x', 'http://[::1]:80/']) {
      expect((await call('POST', '/sign-in-sources', { ...WS_TRUST, name: newName(), url })).status).toBe(201)
    }
  })

  test('no text that no column takes is an error of the server', async () => {
    const { call } = await signinWorld(database()).api()
    const made = await call('POST', '/sign-in-sources', { ...WS_TRUST, name: newName() })
    const path = `/sign-in-sources/${made.body.id}`
    for (const odd of ['a\0b', 'a\ud800', '\udc00a']) {
      for (const field of ['name', 'url', 'applies_to', 'ca_pem'])
        expect([field, (await call('PATCH', path, { [field]: odd })).status]).toEqual([field, 400])
      for (const field of ['name', 'issuer', 'client_id', 'client_secret', 'scopes', 'user_name_claim']) {
        const answer = await call('POST', '/sign-in-sources', { ...OIDC, name: newName(), [field]: odd })
        expect([field, answer.status]).toEqual([field, 400])
      }
      const url = `${path}/test`
      expect((await call('POST', url, { user_name: odd, password: 'x' })).status).toBe(400)
      expect((await call('POST', url, { user_name: 'x', password: odd })).status).toBe(400)
    }
    expect((await call('GET', '/sign-in-sources/x%00')).status).toBeLessThan(500)
  })
})
