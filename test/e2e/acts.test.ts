import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createApnsCertificates, type Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { ADMIN_TOKEN, TOPIC } from '../support/app.ts'
import { addToken } from '../support/tokens.ts'
import { CALLS, type Things } from '../support/calls.ts'
import { describeOnEngine } from '../support/database.ts'
import { pushCertificateFor } from '../support/push-requests.ts'
import { expectKnownData } from '../support/told-data.ts'

vi.setConfig({ testTimeout: 120_000 })

const METHODS = new Set(['post', 'put', 'patch', 'delete'])

describeOnEngine('embedded', 'who acted', (database) => {
  let world: AdeApp
  let phone: Phone
  let policy: string
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
    policy = await world.policy()
    phone = await world.phone(policy)
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    await phone.idle()
    // The group of its policy follows from an event, which the calls below take away.
    await world.until(
      async () => (await world.api('GET', `/devices/${phone.facts.udid}/groups`)).body.items.length === 1,
      100,
    )
  }, 120_000)
  afterAll(() => world.close())

  /** What another person asked for on the command line, and has to wait. */
  async function waiting(): Promise<Things> {
    const secret = 'another-person-of-these-tests-0123456789'
    await addToken(database(), world.clock, { name: 'another person', secret })
    await world.api('PUT', '/governor', { acts: { lock: { per_hour: 0 } } })
    const ask = async () => {
      const answer = await fetch(`${world.url}/api/v1/devices/${phone.facts.udid}/lock`, {
        method: 'POST',
        headers: { authorization: `Bearer ${secret}`, 'user-agent': 'firstboot-cli' },
      })
      return ((await answer.json()) as { approval: { id: string } }).approval.id
    }
    const asked = { toApprove: await ask(), toReject: await ask(), toCancel: await ask() }
    await world.api('PUT', '/governor', { acts: { lock: { per_hour: 100 } } })
    return asked
  }

  async function eventsSoFar() {
    const { kysely } = database()
    const columns = ['type', 'by', 'via', 'at'] as const
    return kysely
      .selectFrom('event_outbox')
      .select(columns)
      .unionAll(kysely.selectFrom('events').select(columns))
      .execute()
  }

  /** Uploads a token of the fake Apple for the server. */
  async function putToken(id: string): Promise<{ status: number; body: unknown }> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
    const key = await fetch(`${world.url}/api/v1/ade-servers/${id}/encryption-key`, { headers })
    const file = world.fake.portal.addServer({ name: 'Another', certificatePem: await key.text() })
    const answer = await fetch(`${world.url}/api/v1/ade-servers/${id}/token?apple_id=admin@example.com`, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/octet-stream' },
      body: new Uint8Array(file),
    })
    return { status: answer.status, body: await answer.json() }
  }

  test('by the command line, by a device, and by a job', async () => {
    await fetch(`${world.url}/api/v1/users`, {
      method: 'POST',
      headers: {
        ...{ authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        'user-agent': 'firstboot-cli',
      },
      body: JSON.stringify({ user_name: 'by-cli' }),
    })
    const told = await eventsSoFar()
    expect(told.find(({ type }) => type === 'user.created')).toMatchObject({
      ...{ via: 'cli', by: { kind: 'api_token' } },
    })
    expect(told.find(({ type }) => type === 'ade_device.assigned')).toMatchObject({ via: 'job', by: null })
    expect(told.find(({ type }) => type === 'device.enrolled')).toMatchObject({ via: 'device', by: null })
  })

  test('is told by every event of every change by the API', async () => {
    const { body: document } = await world.api('GET', '/openapi.json')
    const routes = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => METHODS.has(method))
        .map((method) => `${method.toUpperCase()} ${path.replace('/api/v1', '')}`),
    )
    expect(Object.keys(CALLS).toSorted()).toEqual(routes.toSorted())

    const { items: tokens } = (await world.api('GET', '/api-tokens')).body
    const by = { kind: 'api_token', id: tokens[0].id, name: tokens[0].name }
    const push = await (await createApnsCertificates(new Date())).pushCertificate(TOPIC)
    const things: Things = {
      ...{ devices: phone.facts.udid, serial: phone.facts.serialNumber, policy, server: world.serverId },
      pem: push.certificate + push.key,
      ...(await waiting()),
    }
    for (const [route, { path, body, tells, shows }] of Object.entries(CALLS)) {
      for (const table of ['event_outbox', 'events'] as const)
        await database().kysely.deleteFrom(table).execute()
      const isToken = route === 'PUT /ade-servers/{id}/token'
      const answer = isToken
        ? await putToken(things['ade-servers']!)
        : await world.api(route.split(' ')[0]!, path(things), body?.(things))
      expect([route, answer.status, answer.body]).toEqual([
        route,
        expect.toSatisfy((status: number) => status >= 200 && status < 300),
        answer.body,
      ])
      const kind = path(things).split('/')[1]!
      if (route.split('/').length === 2 && route.startsWith('POST'))
        things[kind] = answer.body.id ?? answer.body.uuid
      if (kind === 'push-certificate-requests' && answer.body.csr_pem)
        things['requested'] = await pushCertificateFor(answer.body.csr_pem, TOPIC)
      if (answer.body?.change_id !== undefined) things['changes'] = answer.body.change_id
      await expectKnownData(database())
      const told = await eventsSoFar()
      const own = told.filter((event) => event.via === 'api')
      expect([route, own.every((event) => event.by !== null)]).toEqual([route, true])
      for (const type of tells)
        expect([route, told.filter((event) => event.type === type)]).toEqual([
          route,
          expect.arrayContaining([expect.objectContaining({ type, by, via: 'api' })]),
        ])
      expect([route, own.map(({ type }) => type).filter((type) => !tells.includes(type))]).toEqual([
        route,
        [],
      ])
      const [entry] = (await world.api('GET', '/audit?limit=1')).body.items
      expect([route, entry]).toEqual([
        route,
        expect.objectContaining({ action: route, actor: by, via: 'api', outcome: 'done', reason: null }),
      ])
      expect([route, own.filter(({ type }) => !entry.events.includes(type))]).toEqual([route, []])
      if (shows !== undefined)
        await world.until(async () => {
          await phone.poll()
          const shown = (await world.api('GET', `/devices/${phone.facts.udid}`)).body
          return Object.entries(shows).every(([key, value]) =>
            expect.objectContaining(value).asymmetricMatch(shown[key]),
          )
        }, 100)
    }
  })
})
