import { afterAll, beforeAll, expect, test } from 'vitest'
import { ADMIN_TOKEN, startTestApp, type TestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'

/** A parsed answer, whose shape the test asserts. */
// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

const ROLES = ['viewer', 'operator', 'admin'] as const
const METHODS = ['get', 'put', 'post', 'patch', 'delete']

/** What is asked with a body, and changes nothing. */
const QUESTIONS = new Set(['post /api/v1/groups/preview', 'post /api/v1/predictions'])

describeEachEngine('operator API', (database) => {
  let world: TestApp
  const tokens: Record<string, string> = {}
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    for (const role of ROLES)
      tokens[role] = (await world.api('POST', '/api-tokens', { name: role, role })).body.secret
  })
  afterAll(() => world.close())

  async function call(
    method: string,
    path: string,
    options: { token?: string | undefined; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; headers: Headers; body: Json }> {
    const { token = ADMIN_TOKEN, body, headers = {} } = options
    const response = await fetch(`${world.url}${path.startsWith('/api/') ? path : `/api/v1${path}`}`, {
      method: method.toUpperCase(),
      headers: {
        ...(token !== '' && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    // A stream has no end that could be waited for.
    const isStream = response.headers.get('content-type')?.includes('event-stream') ?? false
    if (isStream) await response.body?.cancel()
    const text = isStream ? '' : await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') ?? false
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  test('changes go by the version that the caller knows', async () => {
    const created = await call('POST', '/users', { body: { user_name: 'ada' } })
    const path = `/users/${created.body.id}`
    const etag = created.headers.get('etag')!
    const patch = (ifMatch: string, device_limit: number) =>
      call('PATCH', path, { body: { device_limit }, headers: { 'if-match': ifMatch } })
    const both = await Promise.all([patch(etag, 1), patch(etag, 2)])
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 412])
    expect(both.find(({ status }) => status === 412)!.body).toMatchObject({ code: 'precondition_failed' })
    const won = both.find(({ status }) => status === 200)!
    const shown = await call('GET', path)
    expect(shown.body.device_limit).toBe(won.body.device_limit)
    expect(shown.headers.get('etag')).toBe(won.headers.get('etag'))
    expect((await call('DELETE', path, { headers: { 'if-match': etag } })).status).toBe(412)
    expect((await patch('*', 3)).status).toBe(200)
    expect((await patch(won.headers.get('etag')!, 4)).status).toBe(412)

    const settings = await call('GET', '/settings')
    const change = (value: string) =>
      call('PATCH', '/settings', { body: { event_days: 100 }, headers: { 'if-match': value } })
    const tag = settings.headers.get('etag')!
    expect((await change(tag)).status).toBe(200)
    expect((await change(tag)).status).toBe(412)
    expect((await call('PATCH', '/settings', { body: { event_days: 180 } })).status).toBe(200)
  })

  test('a POST that is repeated with its Idempotency-Key is done once', async () => {
    const device = await world.enrolled()
    await world.introduced(device)
    for (const [path, body] of [
      ['/commands', { request_type: 'DeviceLock', device_ids: [device.facts.udid] }],
      ['/enrollment-links', { uses: 3 }],
    ] as const) {
      const headers = { 'idempotency-key': `key-of-${path}` }
      const post = (given: unknown = body, token?: string) =>
        call('POST', path, { body: given, headers, token })
      const first = await post()
      expect(first.status).toBeLessThan(300)
      const again = await Promise.all([post(), post()])
      for (const answer of again) {
        expect(answer).toMatchObject({ status: first.status, body: first.body })
        expect(answer.headers.get('idempotency-replayed')).toBe('true')
      }
      expect((await post({ ...body, nonsense: 1 })).status).toBeGreaterThanOrEqual(400)
      const another = path === '/commands' ? { ...body, request_type: 'ProfileList' } : { uses: 4 }
      expect((await post(another)).body.code).toBe('idempotency_key_reused')
      // Keys are their token's own.
      expect((await post(body, tokens['operator'])).body).not.toEqual(first.body)
    }
    const { results } = await device.poll()
    expect(results.Acknowledged).toBe(2)
  })

  test('two at once with the same Idempotency-Key do it once', async () => {
    const headers = { 'idempotency-key': 'at-once' }
    const all = await Promise.all(
      Array.from({ length: 6 }, () => call('POST', '/enrollment-links', { body: { uses: 77 }, headers })),
    )
    const done = all.filter(({ status }) => status === 201)
    expect(new Set(done.map(({ body }) => body.id)).size).toBe(1)
    for (const { status, body } of all)
      if (status !== 201) expect(body).toMatchObject({ code: 'idempotency_key_in_use', status: 409 })
    const links = (await call('GET', '/enrollment-links?limit=1000')).body.items
    expect(links.filter((link: { uses: number }) => link.uses === 77)).toHaveLength(1)
  })

  test('a list is read to its end in pages, whatever is added meanwhile', async () => {
    for (let count = 0; count < 4; count++) await world.enrolled()
    const before = (await call('GET', '/devices?limit=1000')).body
    expect(before.next_cursor).toBeNull()
    const seen: string[] = []
    let added = 0
    for (let path = '/devices?limit=2'; ;) {
      const { body } = await call('GET', path)
      expect(body.items.length).toBeLessThanOrEqual(2)
      seen.push(...body.items.map((item: { id: string }) => item.id))
      if (body.next_cursor === null) break
      path = `/devices?limit=2&cursor=${encodeURIComponent(body.next_cursor)}`
      if (added++ < 2) await world.enrolled()
    }
    expect(new Set(seen).size).toBe(seen.length)
    for (const { id } of before.items) expect(seen).toContain(id)
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=x',
      'cursor=nonsense',
      'cursor=W10',
      'colour=red',
      'state=x',
    ])
      expect({ query, ...(await call('GET', `/devices?${query}`)).body }).toMatchObject({
        query,
        status: 400,
        code: 'invalid_request',
      })
    const filtered = (await call('GET', `/devices?serial_number=${before.items[0].serial_number}`)).body.items
    expect(filtered).toHaveLength(1)
  })

  test('unknown fields, wrong types and bodies that are none are refused as problem documents', async () => {
    const raw = async (body: string, type = 'application/json') => {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': type }
      const response = await fetch(`${world.url}/api/v1/users`, { method: 'POST', headers, body })
      return { type: response.headers.get('content-type'), body: (await response.json()) as Json }
    }
    for (const [body, code] of [
      ['{"user_name":"x","colour":1}', 'invalid_request'],
      ['{"user_name":7}', 'invalid_request'],
      ['{"user_name":"x","__proto__":{"disabled":true}}', 'invalid_json'],
      ['{', 'invalid_json'],
      ['', 'invalid_request'],
      ['[]', 'invalid_request'],
      ['null', 'invalid_request'],
      [`{"user_name":"\\u0000"}`, 'invalid_request'],
    ] as const) {
      const answer = await raw(body)
      expect(answer.type).toMatch(/^application\/problem\+json/)
      expect({ body, code: answer.body.code }).toEqual({ body, code })
    }
    expect((await raw('x', 'text/plain')).body.code).toBe('unsupported_media_type')
    expect((await call('GET', '/nothing')).body).toMatchObject({ status: 404, code: 'not_found' })
    const put = await call('PUT', '/users', { body: {} })
    expect(put.body).toMatchObject({ status: 405, code: 'method_not_allowed' })
    expect(put.headers.get('allow')).toBe('GET, HEAD, POST')
  })

  /** All operations of the description: method, path with its parameters filled in, and the role that it names. */
  async function operations(): Promise<
    { method: string; path: string; template: string; operation: Json }[]
  > {
    const { body } = await call('GET', '/openapi.json')
    return Object.entries<Json>(body.paths).flatMap(([template, item]) =>
      Object.entries<Json>(item).map(([method, operation]) => ({
        method,
        template,
        path: template.replaceAll(/\{[^}]+\}/g, 'none'),
        operation,
      })),
    )
  }

  test('the description is OpenAPI 3.1 that holds together', async () => {
    const { status, body } = await call('GET', '/openapi.json')
    expect(status).toBe(200)
    expect(body.openapi).toMatch(/^3\.1\.\d+$/)
    expect(body.info).toMatchObject({ title: expect.any(String), version: expect.stringMatching(/^\d/) })
    expect(body.security).toEqual([{ api_token: [] }])
    expect(body.components.securitySchemes.api_token).toMatchObject({ type: 'http', scheme: 'bearer' })
    const ids = new Set<string>()
    for (const { method, template, operation } of await operations()) {
      const name = `${method} ${template}`
      expect(METHODS).toContain(method)
      expect(template).toMatch(/^\/api\/v1\//)
      expect(ids.has(operation.operationId)).toBe(false)
      ids.add(operation.operationId)
      expect({ name, summary: operation.summary, role: operation['x-role'] }).toEqual({
        name,
        summary: expect.stringMatching(/^[A-Z]/),
        role: expect.stringMatching(/^(viewer|operator|admin)$/),
      })
      const parameters: Json[] = operation.parameters ?? []
      const inPath = parameters.filter((each) => each.in === 'path')
      expect({ name, path: inPath.map((each) => each.name).toSorted() }).toEqual({
        name,
        path: [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]).toSorted(),
      })
      for (const each of inPath) expect(each.required).toBe(true)
      for (const each of parameters) {
        expect(['path', 'query', 'header']).toContain(each.in)
        expect(each.schema).toBeTypeOf('object')
      }
      const statuses = Object.keys(operation.responses)
      expect({ name, ok: statuses.some((each) => each.startsWith('2')) }).toEqual({ name, ok: true })
      for (const response of Object.values<Json>(operation.responses))
        expect({ name, description: response.description }).toEqual({ name, description: expect.any(String) })
    }
    const references = [...JSON.stringify(body).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!)
    for (const reference of new Set(references)) {
      const found = reference
        .slice(2)
        .split('/')
        .reduce<Json>((value, key) => value?.[key], body)
      expect({ reference, found: typeof found }).toEqual({ reference, found: 'object' })
    }
  })

  test('every route is there that the contract names', async () => {
    const names = new Set(
      (await operations()).map(({ method, template }) => `${method} ${template.slice(7)}`),
    )
    const expected = [
      ...['get /devices', 'get /devices/{id}', 'delete /devices/{id}', 'get /devices/{id}/timeline'],
      ...['get /devices/{id}/commands', 'get /devices/{id}/profiles', 'get /devices/{id}/apps'],
      ...['post /devices/{id}/push', 'post /devices/{id}/unenroll'],
      ...['post /commands', 'get /commands', 'get /commands/{uuid}', 'delete /commands/{uuid}'],
      ...['post /enrollment-links', 'get /enrollment-links', 'delete /enrollment-links/{id}'],
      ...['get /enrollment-attempts', 'get /enrollment-attempts/{id}'],
      ...['put /push-certificates', 'get /push-certificates', 'get /push-certificates/{topic}'],
      ...['post /api-tokens', 'get /api-tokens', 'get /api-tokens/{id}', 'delete /api-tokens/{id}'],
      ...['post /users', 'get /users', 'get /users/{id}', 'patch /users/{id}', 'delete /users/{id}'],
      ...['get /settings', 'patch /settings', 'get /events'],
    ]
    expect(expected.filter((name) => !names.has(name))).toEqual([])
  })

  test('each route is for the role that it names and for those above it, and for nobody without a token', async () => {
    for (const { method, path, template, operation } of await operations()) {
      const name = `${method} ${template}`
      const body = method === 'get' || method === 'delete' ? undefined : {}
      expect({ name, status: (await call(method, path, { token: '', body })).status }).toEqual({
        name,
        status: 401,
      })
      const least = ROLES.indexOf(operation['x-role'])
      for (const [index, role] of ROLES.entries()) {
        const { status } = await call(method, path, { token: tokens[role], body })
        const may = index >= least
        expect({ name, role, forbidden: status === 403, known: status !== 401 && status < 500 }).toEqual({
          name,
          role,
          forbidden: !may,
          known: true,
        })
      }
      if (method !== 'get')
        expect({ name, isForViewers: least === 0 }).toEqual({ name, isForViewers: QUESTIONS.has(name) })
    }
    const asViewer = async (method: string, path: string) =>
      (await call(method, path, { token: tokens['viewer'], body: method === 'GET' ? undefined : {} })).status
    expect(await asViewer('POST', '/commands')).toBe(403)
    expect(await asViewer('PATCH', '/settings')).toBe(403)
    const asOperator = (method: string, path: string) =>
      call(method, path, { token: tokens['operator'], body: {} }).then(({ status }) => status)
    expect(await asOperator('POST', '/api-tokens')).toBe(403)
    expect(await asOperator('PUT', '/push-certificates')).toBe(403)
    expect(await asOperator('PATCH', '/settings')).toBe(403)
  })

  test('what a viewer is shown holds no key and no contents of commands', async () => {
    const token = tokens['viewer']
    const { body: link } = await call('POST', '/enrollment-links', { body: { uses: 2 } })
    expect((await call('GET', `/enrollment-links/${link.id}`, { token })).body.url).toBeNull()
    const device = await world.enrolled()
    const body = { request_type: 'DeviceLock', device_ids: [device.facts.udid] }
    const { body: command } = await call('POST', '/commands', { body })
    expect((await call('GET', `/commands/${command.uuid}`, { token })).body).not.toHaveProperty('plist')
    expect((await call('GET', `/commands/${command.uuid}`)).body.plist).toBeTypeOf('string')
  })

  test('a token that has expired or was deleted is none', async () => {
    const expires_at = new Date(world.clock.now().getTime() + 60_000).toISOString()
    const { body } = await call('POST', '/api-tokens', { body: { name: 'short', role: 'admin', expires_at } })
    expect((await call('GET', '/devices', { token: body.secret })).status).toBe(200)
    world.clock.advance(61_000)
    const refused = await call('GET', '/devices', { token: body.secret })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer/)
    expect((await call('GET', `/api-tokens/${body.id}`)).body).not.toHaveProperty('secret')
  })

  test('the documentation opens, and metrics count what happened', async () => {
    const docs = await call('GET', '/api/docs', { headers: { accept: 'text/html' } })
    expect(docs.status).toBe(200)
    expect(docs.headers.get('content-type')).toMatch(/^text\/html/)
    expect(docs.body).toContain('swagger')
    const metrics = await (await fetch(`${world.url}/metrics`)).text()
    for (const line of [
      /^firstboot_events_total\{type="device\.enrolled",reason=""\} [1-9]/m,
      /^firstboot_events_total\{type="command\.acknowledged",reason=""\} [1-9]/m,
      /^firstboot_request_duration_seconds_count\{scope="device",route="\/mdm\/connect",status="200"\} [1-9]/m,
      /^firstboot_request_duration_seconds_count\{scope="operator",route="\/api\/v1\/devices",status="200"\} [1-9]/m,
      /^firstboot_batch_size_count\{statement="poll"\} [1-9]/m,
      /^# TYPE firstboot_pushes_total counter/m,
      /^firstboot_push_to_contact_seconds_count/m,
      /^# TYPE firstboot_job_runs_total counter/m,
      /^process_resident_memory_bytes/m,
    ])
      expect(metrics).toMatch(line)
    const away = await fetch(`${world.url}/metrics`, { headers: { 'x-forwarded-for': '192.0.2.1' } })
    expect(away.status).toBe(401)
  })
})
