import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createApnsCertificates, type Phone } from '../../src/simulator/index.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { ADMIN_TOKEN, TOPIC } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { expectKnownData } from '../support/told-data.ts'

vi.setConfig({ testTimeout: 120_000 })

const METHODS = new Set(['post', 'put', 'patch', 'delete'])

/** What a call needs: things that were made for it, by the first part of their addresses. */
type Things = Record<string, string>
/** A call that does something, and the events that tell of it. */
interface Call {
  path: (things: Things) => string
  body?: (things: Things) => unknown
  tells: string[]
}

/** A good call of every route that changes something, in an order in which all of them work. */
const CALLS: Readonly<Record<string, Call>> = {
  'POST /users': {
    path: () => '/users',
    body: () => ({ user_name: 'ada' }),
    tells: ['user.created'],
  },
  'PATCH /users/{id}': {
    path: ({ users }) => `/users/${users}`,
    body: () => ({ display_name: 'Ada' }),
    tells: ['user.updated'],
  },
  'POST /groups': {
    path: () => '/groups',
    body: () => ({ name: 'Sales' }),
    tells: ['group.created'],
  },
  'PATCH /groups/{id}': {
    path: ({ groups }) => `/groups/${groups}`,
    body: () => ({ name: 'Sale' }),
    tells: ['group.updated'],
  },
  'POST /groups/{id}/members': {
    path: ({ groups }) => `/groups/${groups}/members`,
    body: ({ devices }) => ({ device_ids: [devices] }),
    tells: ['group.updated'],
  },
  'DELETE /groups/{id}/members/{device_id}': {
    path: ({ groups, devices }) => `/groups/${groups}/members/${devices}`,
    tells: ['group.updated'],
  },
  'PUT /groups/{id}/members': {
    path: ({ groups }) => `/groups/${groups}/members`,
    body: ({ devices }) => ({ device_ids: [devices] }),
    tells: ['group.updated'],
  },
  'DELETE /groups/{id}': { path: ({ groups }) => `/groups/${groups}`, tells: ['group.deleted'] },
  'POST /enrollment-policies': {
    path: () => '/enrollment-policies',
    body: () => ({ name: 'Phones', ade: { enabled: true } }),
    tells: ['policy.created', 'group.created'],
  },
  'PATCH /enrollment-policies/{id}': {
    path: ({ 'enrollment-policies': id }) => `/enrollment-policies/${id}`,
    body: () => ({ name: 'All phones' }),
    tells: ['policy.updated', 'group.updated'],
  },
  'POST /enrollment-policies/{id}/unassign': {
    path: ({ policy }) => `/enrollment-policies/${policy}/unassign`,
    body: ({ serial }) => ({ serial_numbers: [serial] }),
    tells: ['ade_device.policy_set'],
  },
  'POST /enrollment-policies/{id}/assign': {
    path: ({ policy }) => `/enrollment-policies/${policy}/assign`,
    body: ({ serial }) => ({ serial_numbers: [serial] }),
    tells: ['ade_device.policy_set'],
  },
  'DELETE /enrollment-policies/{id}': {
    path: ({ 'enrollment-policies': id }) => `/enrollment-policies/${id}`,
    tells: ['policy.deleted', 'group.deleted'],
  },
  'PATCH /settings': {
    path: () => '/settings',
    body: () => ({ default_device_limit: 7 }),
    tells: ['settings.changed'],
  },
  'POST /sign-in-sources': {
    path: () => '/sign-in-sources',
    body: () => ({ kind: 'ws_trust', name: 'Directory', url: 'https://127.0.0.1:9/' }),
    tells: ['signin_source.created'],
  },
  'PATCH /sign-in-sources/{id}': {
    path: ({ 'sign-in-sources': id }) => `/sign-in-sources/${id}`,
    body: () => ({ name: 'The directory' }),
    tells: ['signin_source.updated'],
  },
  'POST /sign-in-sources/{id}/test': {
    path: ({ 'sign-in-sources': id }) => `/sign-in-sources/${id}/test`,
    body: () => ({ user_name: 'ada', password: 'x' }),
    tells: [],
  },
  'DELETE /sign-in-sources/{id}': {
    path: ({ 'sign-in-sources': id }) => `/sign-in-sources/${id}`,
    tells: ['signin_source.deleted'],
  },
  'POST /api-tokens': {
    path: () => '/api-tokens',
    body: () => ({ name: 'ci', role: 'viewer' }),
    tells: ['api_token.created'],
  },
  'DELETE /api-tokens/{id}': {
    path: ({ 'api-tokens': id }) => `/api-tokens/${id}`,
    tells: ['api_token.deleted'],
  },
  'POST /enrollment-links': {
    path: () => '/enrollment-links',
    body: () => ({}),
    tells: ['enrollment_link.created'],
  },
  'DELETE /enrollment-links/{id}': {
    path: ({ 'enrollment-links': id }) => `/enrollment-links/${id}`,
    tells: ['enrollment_link.revoked'],
  },
  'PUT /push-certificates': {
    path: () => '/push-certificates',
    body: ({ pem }) => pem,
    tells: ['push_certificate.stored'],
  },
  'POST /ade-servers': {
    path: () => '/ade-servers',
    body: () => ({ name: 'Other' }),
    tells: ['ade_server.created'],
  },
  'PATCH /ade-servers/{id}': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}`,
    body: () => ({ name: 'Another' }),
    tells: ['ade_server.updated'],
  },
  'POST /ade-servers/{id}/encryption-key': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}/encryption-key`,
    tells: ['ade_server.updated'],
  },
  'PUT /ade-servers/{id}/default-policy': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}/default-policy`,
    body: ({ policy }) => ({ policy_id: policy }),
    tells: ['ade_server.updated'],
  },
  'PUT /ade-servers/{id}/token': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}/token?apple_id=admin@example.com`,
    tells: ['ade_server.token_stored', 'ade_sync.started'],
  },
  'POST /ade-servers/{id}/syncs': {
    path: ({ server }) => `/ade-servers/${server}/syncs`,
    tells: ['ade_sync.started'],
  },
  'DELETE /ade-servers/{id}': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}?force=true`,
    tells: ['ade_server.deleted'],
  },
  'POST /ade-devices/{serial_number}/block': {
    path: ({ serial }) => `/ade-devices/${serial}/block`,
    tells: ['ade_device.blocked'],
  },
  'POST /ade-devices/{serial_number}/unblock': {
    path: ({ serial }) => `/ade-devices/${serial}/unblock`,
    tells: ['ade_device.unblocked'],
  },
  'POST /ade-devices/{serial_number}/release': {
    path: ({ serial }) => `/ade-devices/${serial}/release`,
    body: ({ serial }) => ({ confirm: serial }),
    tells: ['ade_device.released'],
  },
  'POST /commands': {
    path: () => '/commands',
    body: ({ devices }) => ({ request_type: 'ProfileList', device_ids: [devices] }),
    tells: ['command.queued'],
  },
  'DELETE /commands/{uuid}': {
    path: ({ commands }) => `/commands/${commands}`,
    tells: ['command.cancelled'],
  },
  'POST /devices/{id}/push': { path: ({ devices }) => `/devices/${devices}/push`, tells: [] },
  'POST /devices/{id}/allow-re-enrollment': {
    path: ({ devices }) => `/devices/${devices}/allow-re-enrollment`,
    tells: ['enrollment.re_enrollment_allowed'],
  },
  'POST /devices/{id}/unenroll': {
    path: ({ devices }) => `/devices/${devices}/unenroll`,
    tells: ['command.queued'],
  },
  'DELETE /devices/{id}': {
    path: ({ devices }) => `/devices/${devices}?force=true`,
    tells: ['device.unenrolled', 'device.deleted', 'command.cancelled'],
  },
  'DELETE /users/{id}': { path: ({ users }) => `/users/${users}`, tells: ['user.deleted'] },
}

describeEachEngine('who acted', (database) => {
  let world: AdeApp
  let phone: Phone
  let policy: string
  beforeAll(async () => {
    world = await startAdeApp({ db: database() })
    policy = await world.policy()
    phone = await world.phone(policy)
    expect((await phone.powerOn()).outcome).toBe('enrolled')
    await phone.idle()
  }, 120_000)
  afterAll(() => world.close())

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
    }
    for (const [route, { path, body, tells }] of Object.entries(CALLS)) {
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
    }
  })
})
