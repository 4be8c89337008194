import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'

describeOnEngine('embedded', 'large bodies of operators', (database) => {
  let world: TestApp
  let policy: string
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    policy = (await world.api('POST', '/enrollment-policies', { name: 'Large', ade: { enabled: true } })).body
      .id
  }, 120_000)
  afterAll(() => world.close())

  async function send(path: string, body: string, type = 'application/json', headers = {}) {
    const response = await fetch(`${world.url}/api/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': type, ...headers },
      body,
    })
    const text = await response.text()
    return { status: response.status, code: JSON.parse(text).code as string, length: text.length }
  }
  const serials = (count: number) => Array.from({ length: count }, (_, at) => `S${at}`)

  test.each(['assign', 'unassign'])(
    '%s takes 200,000 serial numbers, and no more',
    { timeout: 120_000 },
    async (verb) => {
      const path = `/enrollment-policies/${policy}/${verb}`
      const json = (count: number) => send(path, JSON.stringify({ serial_numbers: serials(count) }))
      const csv = (count: number) => send(path, serials(count).join('\n'), 'text/csv')
      for (const [answer, count] of [
        [await json(200_000), 100],
        [await csv(200_000), 100],
      ] as const) {
        // None of them is ours: what is named one by one is bounded.
        expect([answer.status, answer.code]).toEqual([400, 'invalid_request'])
        expect(answer.length).toBeLessThan(count * 200)
      }
      for (const answer of [await json(200_001), await csv(200_001), await csv(1_000_000)])
        expect([answer.status, answer.code]).toEqual([413, 'too_many_values'])
      const huge = await send(path, `{"serial_numbers":[${'"",'.repeat(1_000_000)}""]}`)
      expect([huge.status, huge.code]).toEqual([413, 'too_many_values'])
      const long = await send(path, 'x'.repeat(8 * 1024 * 1024 + 1), 'text/csv')
      expect([long.status, long.code]).toEqual([413, 'payload_too_large'])
    },
  )

  test(
    'a million ids of devices, parameters, members or keys are refused',
    { timeout: 120_000 },
    async () => {
      const ids = `[${'"d",'.repeat(1_000_000)}"d"]`
      const group = (await world.api('POST', '/groups', { name: 'Large' })).body.id as string
      const keys = `{${Array.from({ length: 1_000_000 }, (_, at) => `"k${at}":1`).join(',')}}`
      for (const [path, body] of [
        ['/commands', `{"request_type":"DeviceLock","device_ids":${ids}}`],
        ['/commands', `{"request_type":"Settings","command":${keys},"device_ids":["d"]}`],
        [`/groups/${group}/members`, `{"device_ids":${ids}}`],
        ['/users', keys],
        ['/enrollment-policies', keys],
        ['/sign-in-sources', `{"scopes":${ids}}`],
      ] as const) {
        const answer = await send(path, body)
        expect([path, answer.status]).toEqual([path, 413])
        expect(['too_many_values', 'payload_too_large']).toContain(answer.code)
      }
    },
  )

  test(
    'a command of many megabytes is taken, a key for a repeated call too',
    { timeout: 120_000 },
    async () => {
      const device = await world.enrolled()
      await world.introduced(device)
      const profile = Buffer.alloc(9 * 1024 * 1024, 65).toString('base64')
      const command = {
        request_type: 'InstallProfile',
        command: { Payload: profile },
        device_ids: [device.facts.udid],
      }
      const headers = { 'idempotency-key': randomUUID() }
      const first = await send('/commands', JSON.stringify(command), undefined, headers)
      expect(first.status).toBe(202)
      expect((await send('/commands', JSON.stringify(command), undefined, headers)).status).toBe(202)
      expect((await world.api('GET', '/commands?request_type=InstallProfile')).body.items).toHaveLength(1)
    },
  )
})

describeOnEngine('embedded', 'bodies of operators that are refused', (database) => {
  let world: TestApp
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
  })
  afterAll(() => world.close())

  const profile = Buffer.from('no profile')
  test.each<[method: string, path: string, body: unknown, ...pointers: string[]]>([
    ['POST', '/groups', { kind: 'static', 'a/b.c': 1 }, '/a~1b.c', '/name'],
    ['POST', '/groups', { name: 'EnrollmentProfile:x', kind: 'static' }, '/name'],
    [
      'POST',
      '/groups',
      { name: 'Rule', kind: 'dynamic', rule: { fact: 'colour', op: 'eq', value: 1 } },
      '/rule/fact',
    ],
    ['POST', '/groups/preview', {}, '/rule'],
    ['POST', '/profiles?name=a', profile, ''],
    ['POST', '/apps', { kind: 'store', name: 'A' }, '/itunes_store_id'],
    ['POST', '/apps', { kind: 'shop', name: 'A' }, '/kind'],
    [
      'POST',
      '/apps',
      { kind: 'store', name: 'A', itunes_store_id: 7, configuration: { 'a.b': [{ 'c/d': '{{nobody}}' }] } },
      '/configuration/a.b/0/c~1d',
    ],
    [
      'POST',
      '/apps',
      { kind: 'enterprise', name: 'A', manifest_url: 'http://example.org/' },
      '/manifest_url',
    ],
    ['PUT', '/secrets/a', { value: 7 }, '/value'],
    ['PUT', '/secrets/a', {}, '/value'],
    ['POST', '/rollouts', { kind: 'profile', id: 'none', rings: [] }, '/rings'],
    ['POST', '/rollouts', { kind: 'profile', id: 'none', rings: [{ percent: 10 }] }, '/id'],
    ['POST', '/predictions', {}, '/device_id'],
    ['POST', '/predictions', { serial_number: 7 }, '/serial_number'],
    ['POST', '/commands', { device_ids: ['nobody'], request_type: 'DeviceLock' }, '/device_ids/0'],
    ['POST', '/commands', { request_type: 'DeviceLock' }, '/device_ids'],
    ['POST', '/commands', { device_ids: ['nobody'] }, '/request_type'],
    ['POST', '/devices/nobody/rename', {}, '/device_name'],
    ['POST', '/devices/nobody/lock', { pin: 7 }, '/pin'],
    ['POST', '/devices/nobody/lock', [], ''],
  ])('%s %s says where: %j', async (method, path, body, ...pointers) => {
    const answer = await world.api(method, path, body)
    expect([400, 422]).toContain(answer.status)
    const told = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)
    expect(told.toSorted()).toEqual(pointers)
    for (const { detail } of answer.body.errors) expect(detail).toEqual(expect.any(String))
  })

  test('what is wrong outside of a body has no pointer into it', async () => {
    const { status, body } = await world.api('GET', '/groups?cursor=x')
    expect([status, body.errors]).toEqual([
      400,
      [{ path: 'cursor', message: 'is not a cursor of this list' }],
    ])
    const { body: limit } = await world.api('GET', '/groups?limit=x')
    expect(limit.errors).toMatchObject([{ path: 'limit' }])
    expect(limit.errors[0]).not.toHaveProperty('pointer')
  })
})
