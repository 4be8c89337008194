import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signData } from '../../src/protocol/cms/index.ts'
import { writePlist } from '../../src/protocol/plist/index.ts'
import {
  createApnsCertificates,
  createDeviceHttp,
  type Device,
  type DeviceHttp,
} from '../../src/simulator/index.ts'
import { ADMIN_TOKEN, CHECK_IN, putMessage, startTestApp, TOPIC, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { checkIn, identityOf, TOKEN_UPDATE } from '../support/half-enrolled.ts'
import { formsOf } from '../support/secret-forms.ts'

/** What must be found nowhere, each in a form that nothing else looks like. */
const SECRETS = {
  unlockToken: 'UNLOCK-TOKEN-0d4f1c',
  bootstrapToken: 'BOOTSTRAP-TOKEN-0d4f1c',
  pushToken: 'PUSH-TOKEN-0d4f1c-0d4f1c-0d4f1c-',
  pushMagic: 'PUSH-MAGIC-0d4f1c',
  digest: 'DIGEST-RESPONSE-0d4f1c',
  password: 'PASSWORD-0d4f1c-one',
  payload: 'COMMAND-PAYLOAD-0d4f1c',
  raw: 'RAW-COMMAND-0d4f1c',
  pin: '730914',
  result: 'RESULT-0d4f1c',
  maid: 'SECURITY-TOKEN-0d4f1c',
  wrongToken: 'WRONG-API-TOKEN-0d4f1c-0d4f1c-0d4f1c',
  wrongLink: 'WRONG-LINK-KEY-0d4f1c',
  pkcs12: 'PKCS12-PASSWORD-0d4f1c',
} as const

describeEachEngine('secrets', (database) => {
  let world: TestApp
  let device: Device
  const found = new Set<string>()
  /** Everything that the server said and that is not meant for whoever owns the secret. */
  const heard: { where: string; text: string }[] = []
  const secrets: Record<string, string> = { ...SECRETS }

  beforeAll(async () => {
    world = await startTestApp({ db: database(), settings: { FIRSTBOOT_LOG_LEVEL: 'trace' } })
  })
  afterAll(() => world.close())

  async function api(method: string, path: string, body?: unknown) {
    const answer = await world.api(method, path, body)
    heard.push({ where: `${method} ${path} ${answer.status}`, text: JSON.stringify(answer.body) })
    return answer
  }

  test('are planted in every message and every call', async () => {
    const challenges: string[] = []
    const http = createDeviceHttp()
    const watching: DeviceHttp = {
      ...http,
      async send(request) {
        const answer = await http.send(request)
        const challenge = /<key>Challenge<\/key>\s*<string>([^<]+)</.exec(answer.body.toString('latin1'))?.[1]
        if (challenge !== undefined) challenges.push(challenge)
        return answer
      },
    }
    const link = (await world.api('POST', '/enrollment-links', { uses: 10 })).body
    device = world.device({ http: watching })
    expect((await device.enroll({ url: link.url })).enrolled).toBe(true)
    http.close()
    expect(challenges).toHaveLength(1)
    Object.assign(secrets, {
      challenge: challenges[0],
      linkKey: new URL(link.url).pathname.split('/').at(-1),
      adminToken: ADMIN_TOKEN,
      firstToken: device.channels()[0].push!.token.toString('latin1'),
      firstMagic: device.channels()[0].push!.magic,
    })

    const send = (keys: Record<string, never> | Parameters<typeof checkIn>[2]) => checkIn(world, device, keys)
    const update = {
      ...TOKEN_UPDATE,
      Token: Buffer.from(SECRETS.pushToken),
      PushMagic: SECRETS.pushMagic,
      UnlockToken: Buffer.from(SECRETS.unlockToken),
    }
    expect((await send(update)).status).toBe(200)
    expect((await send({ ...update, UserID: 'USER-1' })).status).toBe(200)
    await send({ ...update, Topic: 'com.apple.mgmt.other' })
    await send({ ...update, PushMagic: undefined })
    await send({ ...update, UserID: 7n })
    const token = Buffer.from(SECRETS.bootstrapToken)
    expect((await send({ MessageType: 'SetBootstrapToken', BootstrapToken: token })).status).toBe(200)
    await send({ MessageType: 'SetBootstrapToken', UserID: 'USER-1', BootstrapToken: token })
    expect((await send({ MessageType: 'GetBootstrapToken' })).status).toBe(200)
    const maid = { TokenServiceType: 'com.apple.maid', TokenParameters: { SecurityToken: SECRETS.maid } }
    await send({ MessageType: 'GetToken', ...maid })
    await send({ MessageType: 'UserAuthenticate', UserID: 'USER-2', DigestResponse: SECRETS.digest })
    await send({ MessageType: 'Telepathy', Secret: SECRETS.unlockToken })
    // Damaged, unsigned, and for another address.
    const right = Buffer.from(writePlist({ ...update, UDID: device.facts.udid, Topic: TOPIC }))
    const signer = identityOf(device)
    await putMessage(`${world.url}/mdm/checkin`, right.subarray(0, -20), { type: CHECK_IN, signer })
    await putMessage(`${world.url}/mdm/checkin`, right, { type: CHECK_IN })
    await putMessage(`${world.url}/mdm/connect`, right, { signer })
    await putMessage(`${world.url}/scep?operation=PKIOperation`, right)
    const signature = (await signData({ content: right, detached: true, signer })).toString('base64')
    secrets['signature'] = signature.slice(200, 300)
  })

  test('are planted in calls of the operator API', async () => {
    const ids = { device_ids: [device.facts.udid] }
    const payload = Buffer.from(SECRETS.payload).toString('base64')
    const profile = { request_type: 'InstallProfile', ...ids, command: { Payload: payload } }
    expect((await api('POST', '/commands', { ...profile, nonsense: 1 })).status).toBe(400)
    const { body: command } = await world.api('POST', '/commands', profile)
    const lock = { request_type: 'DeviceLock', ...ids, command: { PIN: SECRETS.pin } }
    // Whoever queues a command is shown it.
    await world.api('POST', '/commands', lock)
    const Command = { RequestType: 'SetFirmwarePassword', NewPassword: SECRETS.raw }
    const rawCommand = { CommandUUID: 'raw-1', Command }
    const plist = Buffer.from(writePlist(rawCommand)).toString('base64')
    expect((await world.api('POST', '/commands', { plist, ...ids, force: true })).status).toBe(202)
    await api('POST', '/commands', { plist: Buffer.from(SECRETS.raw).toString('base64'), ...ids })
    const result = {
      UDID: device.facts.udid,
      Status: 'Acknowledged',
      CommandUUID: command.uuid,
      UnlockToken: Buffer.from(SECRETS.result),
    }
    expect((await putMessage(`${world.url}/mdm`, result, { signer: identityOf(device) })).status).toBe(200)

    const user = { user_name: 'ada', password: SECRETS.password }
    const { body: created } = await api('POST', '/users', user)
    await api('POST', '/users', user)
    await api('POST', '/users', { ...user, nonsense: SECRETS.password })
    await api('PATCH', `/users/${created.id}`, { password: `${SECRETS.password}-two` })
    await api('PATCH', `/users/${created.id}`, { password: 7 })
    await api('GET', `/users/${created.id}`)

    const { body: made } = await world.api('POST', '/api-tokens', { name: 'made', role: 'viewer' })
    secrets['apiToken'] = made.secret
    await fetch(`${world.url}/api/v1/devices`, { headers: { authorization: `Bearer ${made.secret}` } })
    await fetch(`${world.url}/api/v1/devices`, { headers: { authorization: `Bearer ${SECRETS.wrongToken}` } })
    const basic = (password: string) => ({
      authorization: `Basic ${Buffer.from(`nanomdm:${password}`).toString('base64')}`,
    })
    await fetch(`${world.url}/v1/pushcert`, { headers: basic(SECRETS.wrongToken) })
    await fetch(`${world.url}/version`, { headers: basic(ADMIN_TOKEN) })
    await fetch(`${world.url}/enroll/link/${SECRETS.wrongLink}`)
    await fetch(`${world.url}/enroll/link/${secrets['linkKey']}?x=${SECRETS.wrongLink}`, { method: 'POST' })
    await fetch(`${world.url}/api/v1/nothing?token=${SECRETS.wrongToken}`)

    const other = await (await createApnsCertificates(new Date())).pushCertificate('com.apple.mgmt.another')
    secrets['pushKey'] = other.key.replaceAll(/-----[^-]+-----|\s/g, '').slice(100, 160)
    await api('PUT', '/push-certificates', other.certificate + other.key)
    await api('PUT', '/push-certificates', other.key)
    await api('PUT', '/push-certificates?force=true', other.certificate + other.key)
    await api('PUT', '/push-certificates', { pkcs12: payload, password: SECRETS.pkcs12 })
    await api('DELETE', `/api-tokens/${made.id}`)
    await api('GET', '/enrollment-links/nothing')

    // A request that is no HTTP, with a secret in it.
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(world.url).port), '127.0.0.1')
      socket.on('close', () => resolve())
      socket.on('data', () => socket.destroy())
      socket.write(`PUT /mdm HTTP/1.1\r\nBad Header ${SECRETS.wrongToken}\r\n\r\n`)
    })
  })

  test('are in no log line, event, timeline, list, problem document or metric', async () => {
    for (let count = 0; count < 5; count++) await world.pass(1_000)
    const { udid } = device.facts
    await expect
      .poll(async () => (await world.api('GET', '/events?limit=1000')).body.items.length)
      .toBeGreaterThan(10)
    for (const path of [
      '/events?limit=1000',
      `/devices/${udid}`,
      `/devices/${udid}/timeline?limit=1000`,
      `/devices/${udid}/commands`,
      '/devices',
      '/commands',
      '/enrollment-attempts',
      '/users',
      '/api-tokens',
      '/push-certificates',
      '/audit?limit=1000',
      '/settings',
      '/openapi.json',
    ])
      await api('GET', path)
    heard.push({ where: 'metrics', text: await (await fetch(`${world.url}/metrics`)).text() })
    heard.push({ where: 'log', text: world.logText() })
    expect(heard.every(({ text }) => text.length > 1)).toBe(true)
    for (const [name, secret] of Object.entries(secrets)) {
      expect(secret.length).toBeGreaterThan(5)
      const bytes = name === 'firstToken' ? Buffer.from(secret, 'latin1') : Buffer.from(secret)
      const forms =
        name === 'firstToken' ? [bytes.toString('hex'), bytes.toString('base64')] : formsOf(secret)
      for (const { where, text } of heard)
        if (forms.some((form) => text.includes(form))) found.add(`${name} in ${where}`)
    }
    expect([...found]).toEqual([])
  })

  test('are in no column of the database as they are', async () => {
    const { kysely } = database()
    const tables = [
      ...(['enrollments', 'checkin_messages', 'delivery_history', 'event_outbox', 'events'] as const),
      ...(['enrollment_links', 'api_tokens', 'users', 'push_certificates', 'device_cas'] as const),
    ]
    const unsealed = new Set(['pushToken', 'pushMagic', 'firstToken', 'firstMagic', 'pin', 'signature'])
    for (const table of tables) {
      const rows = await kysely.selectFrom(table).selectAll().execute()
      expect({ table, rows: rows.length > 0 || table === 'event_outbox' }).toEqual({ table, rows: true })
      const values: unknown[] = rows.flatMap((row) => Object.values(row))
      for (const [name, secret] of Object.entries(secrets)) {
        if (unsealed.has(name)) continue
        const holds = values.some((value) =>
          Buffer.isBuffer(value) ? value.includes(secret) : JSON.stringify(value)?.includes(secret),
        )
        expect({ table, name, holds }).toEqual({ table, name, holds: false })
      }
    }
  })
})
