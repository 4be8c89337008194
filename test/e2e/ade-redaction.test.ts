import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sealServerToken, signMachineInfo } from '../../src/protocol/ade/index.ts'
import { keyToPem, parseCertificate, readPem } from '../../src/protocol/x509/index.ts'
import {
  createDeviceHttp,
  startFakeDirectory,
  startFakeOidc,
  type DeviceHttp,
  type FakeDirectory,
  type FakeOidc,
} from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { adeOperator, type AdeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'
import { testKey } from '../support/keys.ts'
import { formsOf } from '../support/secret-forms.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.

/** What must be found nowhere, each in a form that nothing else looks like. */
const SECRETS = {
  consumerSecret: 'CONSUMER-SECRET-0d4f1c',
  accessToken: 'ACCESS-TOKEN-0d4f1c',
  accessSecret: 'ACCESS-SECRET-0d4f1c',
  password: 'PASSWORD-0d4f1c right',
  wrongPassword: 'PASSWORD-0d4f1c wrong',
  passwordAsName: 'PASSWORD-0d4f1c-as-name',
  newPassword: 'PASSWORD-0d4f1c fresh one',
  directoryPassword: 'PASSWORD-0d4f1c directory',
  clientSecret: 'CLIENT-SECRET-0d4f1c',
  madeUpCode: 'OIDC-CODE-0d4f1c',
  madeUpCookie: 'COOKIE-VALUE-0d4f1c',
  wrongKey: 'WRONG-POLICY-KEY-0d4f1c',
} as const

describe('secrets of automated enrollment', () => {
  let database: TestDatabase
  let world: AdeApp
  let admin: AdeOperator
  let oidc: FakeOidc
  let directory: FakeDirectory
  const secrets: Record<string, string> = { ...SECRETS }
  const heard: { where: string; text: string }[] = []
  beforeAll(async () => {
    database = await testDatabase('postgres')
    const settings = { FIRSTBOOT_LOG_LEVEL: 'trace' }
    world = await startAdeApp({ db: await openAgain(database), settings })
    admin = adeOperator(world)
    oidc = await startFakeOidc({
      ...{ clientId: 'firstboot', clientSecret: SECRETS.clientSecret, key: testKey('other') },
      ...{ clock: world.clock, redirectUris: [`${world.url}/enroll/oidc/callback`] },
      users: {
        olga: { password: SECRETS.password, claims: { preferred_username: 'olga@example.com' } },
      },
    })
    directory = await startFakeDirectory({
      clock: world.clock,
      users: [{ userName: 'dora@example.com', password: SECRETS.directoryPassword }],
    })
  })
  afterAll(async () => {
    await world.close()
    await oidc.close()
    await directory.close()
    await database.close()
  })

  async function api(method: string, path: string, body?: unknown) {
    const answer = await world.api(method, path, body)
    heard.push({ where: `${method} ${path} ${answer.status}`, text: JSON.stringify(answer.body) })
    return answer
  }

  /** A way on which cookies, codes, form tokens and challenges are seen. */
  function watching(name: string): DeviceHttp {
    const http = createDeviceHttp()
    return {
      ...http,
      async send(request) {
        const note = (kind: string, value: string | undefined) => {
          if (value !== undefined) secrets[`${kind} of ${name}`] = value
        }
        note('code', /\/enroll\/oidc\/callback\?.*code=([^&]+)/.exec(request.url)?.[1])
        note('state', /\/enroll\/oidc\/callback\?.*state=([^&]+)/.exec(request.url)?.[1])
        const answer = await http.send(request)
        const isOurs = request.url.startsWith(world.url)
        const text = answer.body.toString('latin1')
        if (isOurs) note('cookie', /=([^;]+);/.exec(String(answer.headers['set-cookie'] ?? ''))?.[1])
        note('form token', /name="csrf_token" value="([^"]+)"/.exec(text)?.[1])
        note('challenge', /<key>Challenge<\/key>\s*<string>([^<]+)</.exec(text)?.[1])
        return answer
      },
    }
  }

  test('are planted in server tokens, policies and sources', async () => {
    const { body: server } = await api('POST', '/ade-servers', { name: 'Planted' })
    const [pem] = readPem(await admin.key(server.id))
    const { consumerSecret, accessToken, accessSecret } = SECRETS
    const token = { consumerKey: 'CK_planted', consumerSecret, accessToken, accessSecret }
    const seal = (expiresAt: Date) =>
      Buffer.from(sealServerToken({ ...token, expiresAt }, parseCertificate(pem!.der)))
    const later = new Date(world.clock.now().getTime() + 86_400_000)
    for (const file of [seal(new Date(0)), seal(later), Buffer.from(JSON.stringify(token))]) {
      const { body } = await admin.put(server.id, file)
      heard.push({ where: 'PUT token', text: JSON.stringify(body) })
    }
    expect(await admin.synced(server.id)).toMatchObject({ state: 'failed' })
    await api('POST', `/ade-servers/${server.id}/syncs`)
    await admin.synced(server.id)
    for (const path of ['', '/syncs']) await api('GET', `/ade-servers/${server.id}${path}`)

    const key = keyToPem(testKey('other'))
    secrets['pairingKey'] = key.replaceAll(/-----[^-]+-----|\s/g, '').slice(100, 160)
    const refused = await api('POST', '/enrollment-policies', {
      ...{ name: 'Pairing', ade: { pairing: 'require_certificate', pairing_certificates: [key] } },
    })
    expect(refused.status).toBe(400)
    const source = { kind: 'oidc', name: 'Provider', issuer: oidc.issuer, client_id: 'firstboot' }
    await api('POST', '/sign-in-sources', { ...source, client_secret: SECRETS.clientSecret, nonsense: 1 })
    await api('POST', '/sign-in-sources', {
      ...source,
      issuer: 'ftp://x',
      client_secret: SECRETS.clientSecret,
    })
  })

  test('are planted at power-on, natively and on the web', async () => {
    const { password, wrongPassword, newPassword, directoryPassword, clientSecret } = SECRETS
    await api('POST', '/users', { user_name: 'nora', password })
    await api('POST', '/users', { user_name: 'chris', password, must_change_password: true })
    const provider = await api('POST', '/sign-in-sources', {
      ...{ kind: 'oidc', name: 'Provider', issuer: oidc.issuer, client_id: 'firstboot' },
      client_secret: clientSecret,
    })
    const adfs = await api('POST', '/sign-in-sources', { kind: 'ws_trust', name: 'AD', url: directory.mex })
    const trial = { user_name: 'dora@example.com', password: directoryPassword }
    expect((await api('POST', `/sign-in-sources/${adfs.body.id}/test`, trial)).body.ok).toBe(true)
    await api('POST', `/sign-in-sources/${adfs.body.id}/test`, { ...trial, password: wrongPassword })
    const policy = (id: string | null, sign_in: string) =>
      world.policy({ user_affinity: 'prompt', sign_in_source_id: id, ade: { sign_in } })
    const nora = { userName: 'nora', passwords: [wrongPassword, password] }
    for (const [name, policyId, person] of [
      ['native', await policy(null, 'native'), nora],
      ['web', await policy(null, 'web'), nora],
      ['change', await policy(null, 'web'), { userName: 'chris', passwords: [password], newPassword }],
      [
        'directory',
        await policy(adfs.body.id, 'native'),
        { userName: 'dora@example.com', passwords: [wrongPassword, directoryPassword] },
      ],
      ['oidc', await policy(provider.body.id, 'web'), { userName: 'olga', passwords: [password] }],
    ] as const) {
      const phone = await world.phone(policyId, { person, http: watching(name) })
      expect((await phone.powerOn()).outcome).toBe('enrolled')
      secrets[`policy key of ${name}`] = new URL(world.activation(phone).url).pathname.split('/').at(-1)!
    }
    expect(Object.keys(secrets)).toEqual(
      expect.arrayContaining(['cookie of web', 'form token of web', 'code of oidc', 'challenge of native']),
    )

    const lost = await world.phone(await policy(null, 'native'))
    const { url } = world.activation(lost)
    const { facts } = lost
    const keys = { PRODUCT: facts.productName, VERSION: facts.buildVersion }
    const identity = await world.ca.deviceIdentity(facts.serialNumber)
    const info = { UDID: facts.udid, SERIAL: facts.serialNumber, ...keys }
    const body = new Uint8Array(await signMachineInfo(info, identity, { chain: world.ca.chain }))
    const post = (address: string, text: string) =>
      fetch(address, {
        ...{ method: 'POST', body },
        headers: {
          'content-type': 'application/pkcs7-signature',
          authorization: `Basic ${Buffer.from(text).toString('base64')}`,
        },
      })
    expect((await post(url, `${SECRETS.passwordAsName}:${wrongPassword}`)).status).toBe(401)
    expect((await post(url, wrongPassword)).status).toBe(401)
    const unknown = await post(`${world.url}/enroll/ade/${SECRETS.wrongKey}`, `nora:${password}`)
    heard.push({ where: 'unknown key', text: await unknown.text() })
    const cookie = `firstboot_session=${SECRETS.madeUpCookie}`
    for (const path of [
      `/enroll/web/${SECRETS.wrongKey}`,
      `/enroll/oidc/callback?code=${SECRETS.madeUpCode}&state=x`,
    ])
      heard.push({
        where: path.slice(0, 12),
        text: await (await fetch(world.url + path, { headers: { cookie } })).text(),
      })
  })

  test('are in no log line, event, timeline, list, problem document or metric', async () => {
    for (let count = 0; count < 5; count++) await world.pass(1_000)
    await admin.event('device.enrolled', () => true)
    for (const path of [
      ...[
        '/events?limit=1000',
        '/devices',
        '/enrollment-attempts?limit=1000',
        '/ade-servers',
        '/ade-devices',
      ],
      ...['/enrollment-policies', '/sign-in-sources', '/users', '/groups', '/settings', '/commands'],
    ])
      await api('GET', path)
    heard.push({ where: 'metrics', text: await (await fetch(`${world.url}/metrics`)).text() })
    heard.push({ where: 'log', text: world.logText() })
    const found = Object.entries(secrets).flatMap(([name, secret]) => {
      expect([name, secret.length > 5]).toEqual([name, true])
      const forms = formsOf(secret)
      return heard
        .filter(({ text }) => forms.some((form) => text.includes(form)))
        .map(({ where }) => `${name} in ${where}`)
    })
    expect(found).toEqual([])
    for (const where of ['log', 'metrics'])
      expect(heard.find((each) => each.where === where)?.text).toContain('enrollment')
  })

  test('are in no column of the database as they are', async () => {
    // The address of a policy is what Apple has to be told again and again.
    const isStored = (name: string) => name.startsWith('policy key')
    for (const table of [
      ...(['ade_servers', 'ade_syncs', 'ade_devices', 'sign_in_sources', 'web_sessions', 'users'] as const),
      ...([
        'enrollment_attempts',
        'enrollment_attempt_steps',
        'events',
        'event_outbox',
        'enrollment_policies',
      ] as const),
    ]) {
      const rows = await database.kysely.selectFrom(table).selectAll().execute()
      const values: unknown[] = rows.flatMap((row) => Object.values(row))
      for (const [name, secret] of Object.entries(secrets)) {
        if (isStored(name)) continue
        const holds = values.some((value) =>
          Buffer.isBuffer(value) ? value.includes(secret) : JSON.stringify(value)?.includes(secret),
        )
        expect({ table, name, holds }).toEqual({ table, name, holds: false })
      }
    }
  })
})
