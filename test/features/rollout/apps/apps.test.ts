import { expect, test } from 'vitest'
import { ACT } from '../../../support/act.ts'
import { describeEachEngine } from '../../../support/database.ts'
import { appsWorld } from './world.ts'

const STORE = { kind: 'store', itunes_store_id: 361309726, name: 'Pages' }

describeEachEngine('apps', (database) => {
  const world = () => appsWorld(database())

  test('a store app is made with its defaults, found, changed and deleted', async () => {
    const { call, emitted } = await world()
    const made = await call('POST', '/apps', STORE)
    expect(made.status).toBe(201)
    expect(made.headers.get('etag')).toBe('"1"')
    expect(made.body).toEqual({
      id: expect.any(String),
      ...STORE,
      identifier: null,
      revision: 1,
      released_revision: 1,
      manifest_url: null,
      package: null,
      remove_with_enrollment: true,
      prevent_backup: false,
      take_over: false,
      device_licence: false,
      min_os_version: null,
      configuration: {},
      warnings: [{ path: 'device_licence', message: expect.stringContaining('Apple Account') }],
      group_ids: [],
      created_at: expect.stringMatching(/Z$/),
      updated_at: made.body.created_at,
    })
    const path = `/apps/${made.body.id}`
    expect((await call('GET', path)).body).toEqual(made.body)
    const changed = await call('PATCH', path, {
      configuration: { url: 'https://a', deep: { a: 1, b: ['{{device.serial_number|none}}'] } },
      min_os_version: '17.1',
    })
    expect(changed.body).toMatchObject({ revision: 2, released_revision: 2, min_os_version: '17.1' })
    const merged = await call('PATCH', path, { configuration: { url: null, deep: { a: 2 } } })
    expect(merged.body.configuration).toEqual({ deep: { a: 2, b: ['{{device.serial_number|none}}'] } })
    expect((await call('PATCH', path, { configuration: null })).body).toMatchObject({
      revision: 4,
      configuration: {},
    })
    expect((await call('DELETE', path, undefined, { 'if-match': '"1"' })).status).toBe(412)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('GET', path)).status).toBe(404)
    expect(emitted.map(({ type, data }) => [type, data])).toMatchObject([
      ['app.created', { kind: 'store', revision: 1 }],
      ['app.updated', { changed: ['min_os_version', 'configuration'], revision: 2, released: true }],
      ['app.updated', { changed: ['configuration'], revision: 3, released: true }],
      ['app.updated', { changed: ['configuration'], revision: 4, released: true }],
      ['app.deleted', { revision: 4 }],
    ])
  })

  test('a name makes no revision, the same again changes nothing, a rollout releases nothing', async () => {
    const { call, apps, db, emitted } = await world()
    const { body } = await call('POST', '/apps', STORE)
    const path = `/apps/${body.id}`
    expect((await call('PATCH', path, { name: 'Other' })).body).toMatchObject({ name: 'Other', revision: 1 })
    const told = emitted.length
    expect((await call('PATCH', path, { name: 'Other', take_over: false })).headers.get('etag')).toBe('"2"')
    expect(emitted.length).toBe(told)
    const stored = await call('PATCH', `${path}?rollout=true`, { take_over: true })
    expect(stored.body).toMatchObject({ revision: 2, released_revision: 1, take_over: true })
    expect(emitted.at(-1)).toMatchObject({ data: { released: false, revision: 2 } })
    await db.transaction((trx) => apps.release(trx, body.id, 2, ACT))
    expect((await call('GET', path)).body).toMatchObject({ revision: 2, released_revision: 2 })
    expect(emitted.at(-1)).toMatchObject({ data: { released: true, changed: ['released_revision'] } })
    await db.transaction((trx) => apps.release(trx, body.id, 1, ACT))
    const revisions = (await call('GET', `${path}/revisions`)).body.items
    expect(revisions).toMatchObject([
      { revision: 2, is_released: false, take_over: true },
      { revision: 1, is_released: true, take_over: false },
    ])
    await expect(db.transaction((trx) => apps.release(trx, body.id, 3, ACT))).rejects.toMatchObject({
      code: 'not_found',
    })
  })

  test.each([
    [{}, 'kind'],
    [{ kind: 'store', name: 'a' }, 'itunes_store_id'],
    [{ kind: 'store', name: 'a', itunes_store_id: 1.5 }, 'itunes_store_id'],
    [{ kind: 'store', name: 'a', itunes_store_id: '1' }, 'itunes_store_id'],
    [{ kind: 'store', name: 'a', itunes_store_id: 1, manifest_url: 'https://a.example' }, 'manifest_url'],
    [{ kind: 'enterprise', name: 'a', itunes_store_id: 1 }, 'itunes_store_id'],
    [{ kind: 'enterprise', name: 'a', manifest_url: 'http://a.example/x' }, 'manifest_url'],
    [{ kind: 'enterprise', name: 'a', manifest_url: 'x' }, 'manifest_url'],
    [{ kind: 'enterprise', name: 'a', manifest_url: 'https://u:p@a.example/x' }, 'manifest_url'],
    [{ kind: 'enterprise', name: 'a', manifest_url: 'file:///etc/passwd' }, 'manifest_url'],
    [{ ...STORE, min_os_version: 'new' }, 'min_os_version'],
    [{ ...STORE, configuration: { a: { b: ['{{device.nothing}}'] } } }, 'configuration.a.b.0'],
    [{ ...STORE, configuration: { a: '{{device.name' } }, 'configuration.a'],
    [{ ...STORE, configuration: { a: [null] } }, 'configuration.a[0]'],
    [{ ...STORE, configuration: { a: '\u0001' } }, 'configuration'],
    [{ ...STORE, configuration: { $data: 'AA==' } }, 'configuration'],
    [{ ...STORE, configuration: [] }, 'configuration'],
    [{ ...STORE, wanted: true }, 'wanted'],
  ])('%j is refused by name', async (body, path) => {
    const { call } = await world()
    const answer = await call('POST', '/apps', body)
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(answer.body.errors.map((each: { path: string }) => each.path)).toContain(path)
  })

  test('a device that says of an app that it is another one is not believed', async () => {
    const { call, apps, db } = await world()
    const make = async (id: number) => {
      const { body } = await call('POST', '/apps', { ...STORE, itunes_store_id: id })
      return body.id as string
    }
    const [vpn, twin, other] = [await make(7_001), await make(7_001), await make(7_002)]
    const note = (id: string) => apps.noteIdentifier(db.kysely, id, 'com.example.vpn')
    expect([await note(vpn), await note(other), await note(twin)]).toEqual([true, false, true])
  })

  test('a manifest may be on loopback, is patched, and a bundle identifier never changes', async () => {
    const { call, apps, db } = await world()
    const url = 'http://127.0.0.1:9/m.plist'
    const { body } = await call('POST', '/apps', { kind: 'enterprise', name: 'a', manifest_url: url })
    expect(body).toMatchObject({ manifest_url: url, warnings: [] })
    const path = `/apps/${body.id}`
    expect((await call('PATCH', path, { manifest_url: 'https://a.example/m' })).body.revision).toBe(2)
    expect(await apps.noteIdentifier(db.kysely, body.id, 'com.example.a')).toBe(true)
    expect(await apps.noteIdentifier(db.kysely, body.id, 'com.example.b')).toBe(false)
    expect((await call('PATCH', path, { identifier: 'com.example.b' })).body.code).toBe('identifier_changed')
    const facts = await apps.findRevisions(db.kysely, [
      { id: body.id, revision: 2 },
      { id: body.id, revision: 9 },
      { id: 'none', revision: 1 },
      { id: body.id, revision: 1 },
    ])
    expect(facts).toMatchObject([
      { revision: 2, manifest_url: 'https://a.example/m', identifier: 'com.example.a', hosted: null },
      { revision: 1, manifest_url: url },
    ])
    expect(await apps.findRevisions(db.kysely, [{ id: body.id, revision: 2 }])).toEqual([facts[0]])
  })

  test('lists go by name in pages, and changes at once make one revision each', async () => {
    const { call } = await world()
    const names = ['b', 'a', 'c'].map((letter) => `Page ${letter}`)
    for (const name of names) await call('POST', '/apps', { ...STORE, name })
    const first = await call('GET', '/apps?limit=2&kind=store')
    const next = await call('GET', `/apps?limit=1000&kind=store&cursor=${first.body.next_cursor}`)
    const seen = [...first.body.items, ...next.body.items].map(({ name }) => name as string)
    expect(seen).toEqual(seen.toSorted())
    const [{ id }] = (await call('GET', '/apps?name=Page%20b')).body.items
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, at) =>
        call('PATCH', `/apps/${id}`, { configuration: { [`k${at}`]: at } }),
      ),
    )
    expect(answers.map(({ body }) => body.revision).toSorted()).toEqual([2, 3, 4, 5, 6, 7])
    expect(Object.keys((await call('GET', `/apps/${id}`)).body.configuration)).toHaveLength(6)
  })
})
