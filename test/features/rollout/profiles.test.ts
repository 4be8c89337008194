import { describe, expect, test } from 'vitest'
import { usesOfSecret } from '../../../src/db/statements/uses.ts'
import { readSigned } from './signed.ts'
import { describeEachEngine } from '../../support/database.ts'
import { mobileconfig, payload } from '../../support/mobileconfig.ts'
import { OURS, rolloutWorld } from './world.ts'

const DEVICE = new Map<string, string | null>([
  ['device.serial_number', 'F2LX1'],
  ['user.email', 'ada & <bob> 😀'],
  ['user.display_name', null],
])

describeEachEngine('profiles', (database) => {
  const world = rolloutWorld(database)

  test('one is uploaded, found, renamed and deleted', async () => {
    const { upload, call, emitted } = await world()
    const made = await upload(mobileconfig())
    expect(made).toMatchObject({
      status: 201,
      headers: { etag: '"1"', location: `/api/v1/profiles/${made.body.id}` },
    })
    expect(made.body).toEqual({
      id: expect.any(String),
      name: 'Wi-Fi of Example',
      identifier: 'org.example.wifi',
      scope: 'system',
      display_name: 'Wi-Fi of Example',
      payload_types: ['com.apple.wifi.managed'],
      variables: [],
      revision: 1,
      released_revision: 1,
      size: mobileconfig().length,
      signed_by: null,
      warnings: [],
      group_ids: [],
      created_at: expect.stringMatching(/Z$/),
      updated_at: made.body.created_at,
    })
    const path = `/profiles/${made.body.id}`
    expect((await call('GET', path)).body).toEqual(made.body)
    const listed = await call('GET', '/profiles?identifier=org.example.wifi&limit=1000')
    expect(listed.body.items).toContainEqual(made.body)
    const renamed = await call('PATCH', path, { name: 'Wi-Fi' }, { 'if-match': '"1"' })
    expect(renamed).toMatchObject({
      status: 200,
      headers: { etag: '"2"' },
      body: { name: 'Wi-Fi', revision: 1 },
    })
    expect((await call('PATCH', path, { name: 'x' }, { 'if-match': '"1"' })).body.code).toBe(
      'precondition_failed',
    )
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('GET', path)).status).toBe(404)
    const about = { profile_id: made.body.id, identifier: 'org.example.wifi' }
    expect(emitted.map(({ type, data }) => [type, data])).toEqual([
      ['profile.created', { ...about, name: 'Wi-Fi of Example', revision: 1, released: true }],
      ['profile.updated', { ...about, name: 'Wi-Fi', revision: 1, released: true, changed: ['name'] }],
      ['profile.deleted', { ...about, name: 'Wi-Fi' }],
    ])
  })

  test('the next revision is for everybody, or with rollout for nobody yet', async () => {
    const { upload, replace, call, emitted } = await world()
    const { body: made } = await upload(mobileconfig(), '?name=Mine')
    emitted.length = 0
    const second = mobileconfig({}, payload({ SSID_STR: 'Second' }))
    const third = mobileconfig({}, payload({ SSID_STR: 'Third' }))
    expect((await replace(made.id, second)).body).toMatchObject({
      name: 'Mine',
      revision: 2,
      released_revision: 2,
    })
    expect((await replace(made.id, third, '?rollout=true')).body).toMatchObject({
      revision: 3,
      released_revision: 2,
    })
    const revisions = await call('GET', `/profiles/${made.id}/revisions`)
    expect(revisions.body.items.map(({ revision, released }: never) => [revision, released])).toEqual([
      [3, false],
      [2, true],
      [1, false],
    ])
    // The same again, and no longer for a rollout alone.
    expect((await replace(made.id, third)).body).toMatchObject({ revision: 3, released_revision: 3 })
    expect(emitted.map(({ data }) => data)).toMatchObject([
      { revision: 2, released: true, changed: ['content'] },
      { revision: 3, released: false, changed: ['content'] },
      { revision: 3, released: true, changed: ['released_revision'] },
    ])
  })

  test('what says the same makes no revision', async () => {
    const { upload, replace, emitted } = await world()
    const first = mobileconfig()
    const { body: made } = await upload(first)
    emitted.length = 0
    const keys = /<key>SSID_STR<\/key>\s*<string>Example<\/string>\s*/.exec(first)?.[0] ?? ''
    const moved = first
      .replace(keys, '')
      .replace('<key>EncryptionType</key>', `${keys}<key>EncryptionType</key>`)
    const same = [
      first.replaceAll('\n', '\r\n'),
      first.replaceAll('\t', ''),
      moved.replace('<plist', '<!-- x --><plist'),
    ]
    for (const content of same) {
      expect((await replace(made.id, content)).body).toMatchObject({
        revision: 1,
        updated_at: made.updated_at,
      })
    }
    expect(emitted).toEqual([])
    expect((await replace(made.id, first.replace('Example<', 'example<'))).body.revision).toBe(2)
  })

  test('of two uploads at once each makes a revision, or the later one is told', async () => {
    const { upload, replace } = await world()
    const { body: made } = await upload(mobileconfig())
    const other = (n: number) => mobileconfig({}, payload({ SSID_STR: `Network ${n}` }))
    const free = await Promise.all([1, 2, 3, 4].map((n) => replace(made.id, other(n))))
    expect(free.map(({ body }) => body.revision).toSorted()).toEqual([2, 3, 4, 5])
    const bound = await Promise.all([5, 6].map((n) => replace(made.id, other(n), '', { 'if-match': '"5"' })))
    expect(bound.map(({ status }) => status).toSorted()).toEqual([200, 412])
  })

  test('another identifier or scope is refused', async () => {
    const { upload, replace, call } = await world()
    const { body: made } = await upload(mobileconfig())
    const moved = await replace(made.id, mobileconfig({ PayloadIdentifier: 'org.example.other' }))
    expect(moved).toMatchObject({ status: 422, body: { code: 'identifier_changed' } })
    const scoped = await replace(made.id, mobileconfig({ PayloadScope: 'User' }))
    expect(scoped).toMatchObject({ status: 422, body: { code: 'scope_changed' } })
    expect((await replace(made.id, mobileconfig({ PayloadScope: 'System' }))).body.revision).toBe(2)
    expect((await replace('no-such', mobileconfig())).status).toBe(404)
    expect((await call('GET', `/profiles/${made.id}`)).body.revision).toBe(2)
  })

  test('the content is what was uploaded, sealed in the database', async () => {
    const { upload, replace, download, db } = await world()
    const first = mobileconfig({}, payload({ Password: 'a-secret-password' }))
    const { body: made } = await upload(first)
    await replace(made.id, mobileconfig())
    expect(await download(made.id, '?revision=1')).toMatchObject({
      status: 200,
      type: 'application/x-apple-aspen-config',
      body: first,
    })
    expect((await download(made.id)).body).toBe(mobileconfig())
    expect((await download(made.id, '?revision=3')).status).toBe(404)
    const rows = await db.kysely
      .selectFrom('profile_revisions')
      .select('content')
      .where('profile_id', '=', made.id)
      .execute()
    expect(rows).toHaveLength(2)
    for (const { content } of rows) expect(content.toString('latin1')).not.toContain('<plist')
  })

  test.each([
    ['an MDM payload', mobileconfig({}, payload({ PayloadType: 'com.apple.mdm' }))],
    ['one spelled otherwise', mobileconfig({}, payload({ PayloadType: ' Com.Apple.MDM ' }))],
    ['our identifier', mobileconfig({ PayloadIdentifier: OURS })],
    ['that of our identity', mobileconfig({}, payload({ PayloadIdentifier: `${OURS.toUpperCase()}.scep` }))],
  ])('%s breaks management, unless forced', async (_what, content) => {
    const { upload } = await world()
    expect(await upload(content)).toMatchObject({
      status: 422,
      body: {
        code: 'profile_breaks_management',
        errors: [{ pointer: expect.any(String), detail: expect.any(String) }],
      },
    })
    expect((await upload(content, '?force=true')).status).toBe(201)
  })

  test.each([
    'com.apple.security.scep',
    'com.apple.security.acme',
    'com.apple.security.pkcs12',
    'org.example.custom',
  ])('a payload %s is fine', async (type) => {
    const { upload } = await world()
    expect((await upload(mobileconfig({}, payload({ PayloadType: type })))).status).toBe(201)
  })

  test('secrets are set, never shown, and kept while a profile names them', async () => {
    const { call, upload, replace, emitted, db, logged } = await world()
    const name = 'wifi.psk-1_A'
    const set = await call('PUT', `/secrets/${name}`, { value: 'hunter2 is a value' })
    expect(set.body).toEqual({
      id: name,
      name,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
    expect((await call('PUT', `/secrets/${name}`, { value: 'hunter2 is a value' })).headers['etag']).toBe(
      set.headers['etag'],
    )
    expect((await call('PUT', `/secrets/${name}`, { value: 'other value' })).headers['etag']).not.toBe(
      set.headers['etag'],
    )
    expect((await call('GET', '/secrets')).body.items).toContainEqual(expect.objectContaining({ name }))
    const { body: made } = await upload(mobileconfig({}, payload({ Password: `{{secret.${name}}}` })))
    expect(made.variables).toEqual([`secret.${name}`])
    const refused = await call('DELETE', `/secrets/${name}`)
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'in_use', used_by: [{ kind: 'profile', id: made.id, name: made.name }] },
    })
    await replace(made.id, mobileconfig(), '?rollout=true')
    expect(await usesOfSecret(db.kysely, name)).toHaveLength(1)
    await replace(made.id, mobileconfig())
    expect((await call('DELETE', `/secrets/${name}`)).status).toBe(204)
    expect((await call('GET', `/secrets/${name}`)).status).toBe(404)
    expect(emitted.filter(({ type }) => type.startsWith('secret.')).map(({ data }) => data)).toEqual([
      { name, created: true },
      { name, created: false },
      { name },
    ])
    expect(JSON.stringify([emitted, logged()])).not.toMatch(/hunter2|other value/)
  })

  test.each(['a b', 'ä', 'a'.repeat(65), '..%2f', '%24'])('%j is no name of a secret', async (name) => {
    const { call } = await world()
    expect((await call('PUT', `/secrets/${encodeURIComponent(name)}`, { value: 'x' })).status).toBe(400)
  })

  describe('what a device gets', () => {
    test('is signed, with its values and a UUID of ours', async () => {
      const { upload, profiles, call, db, signer } = await world()
      await call('PUT', '/secrets/psk', { value: 'p&<s>{{device.udid}}' })
      const { body: made } = await upload(
        mobileconfig(
          { PayloadDisplayName: 'For {{device.serial_number}}', DurationUntilRemoval: 12.5 },
          payload({
            SSID_STR: '{{user.email}}',
            Password: '{{secret.psk}}',
            Name: '{{user.display_name|none}}',
          }),
        ),
      )
      const [facts] = await profiles.findRevisions(db.kysely, [{ id: made.id, revision: 1 }])
      expect(facts).toEqual({
        ...{ id: made.id, revision: 1, identifier: 'org.example.wifi', scope: 'system' },
        display_name: 'For {{device.serial_number}}',
        variables: ['device.serial_number', 'secret.psk', 'user.display_name', 'user.email'],
        needed: ['device.serial_number', 'secret.psk', 'user.email'],
        app_lock_ids: [],
        removal_date: null,
      })
      const rendered = await profiles.render(db.kysely, { id: made.id, revision: 1, values: DEVICE })
      if (!rendered.ok) throw new Error(rendered.detail)
      const { plist, by } = readSigned(rendered.body)
      expect(by).toEqual(signer.certificate.fingerprint)
      expect(plist).toMatchObject({
        PayloadUUID: rendered.payloadUuid,
        PayloadIdentifier: 'org.example.wifi',
        PayloadDisplayName: 'For F2LX1',
        DurationUntilRemoval: 12.5,
        PayloadContent: [{ SSID_STR: 'ada & <bob> 😀', Password: 'p&<s>{{device.udid}}', Name: 'none' }],
      })
    })

    test('is told apart by its values, and by the version of a secret', async () => {
      const { upload, profiles, secrets, call, db } = await world()
      await call('PUT', '/secrets/apart', { value: 'one' })
      const { body: made } = await upload(
        mobileconfig({}, payload({ SSID_STR: '{{device.name}}{{device.os_version}}{{secret.apart}}' })),
      )
      const uuidFor = async (values: Record<string, string>) => {
        const rendered = await profiles.render(db.kysely, {
          ...{ id: made.id, revision: 1 },
          values: new Map(Object.entries(values)),
        })
        if (!rendered.ok) throw new Error(rendered.detail)
        const [facts] = await profiles.findRevisions(db.kysely, [{ id: made.id, revision: 1 }])
        const known = new Map([...Object.entries(values), ...(await secrets.versions(db.kysely))])
        if (facts === undefined) throw new Error('no facts')
        expect(rendered.rendering).toBe(profiles.renderingOf(facts, known))
        expect(rendered.payloadUuid).toBe(profiles.payloadUuidOf({ ...facts, rendering: rendered.rendering }))
        return rendered.payloadUuid
      }
      const first = await uuidFor({ 'device.name': 'a', 'device.os_version': '26' })
      expect(first).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/)
      expect(await uuidFor({ 'device.name': 'a', 'device.os_version': '27' })).toBe(first)
      expect(await uuidFor({ 'device.name': 'b', 'device.os_version': '26' })).not.toBe(first)
      await call('PUT', '/secrets/apart', { value: 'two' })
      const second = await uuidFor({ 'device.name': 'a', 'device.os_version': '26' })
      expect(second).not.toBe(first)
      await call('PUT', '/secrets/apart', { value: 'one' })
      expect([first, second]).not.toContain(await uuidFor({ 'device.name': 'a', 'device.os_version': '26' }))
    })

    test('without variables is signed once', async () => {
      const { upload, profiles, signatures, db } = await world()
      const { body: made } = await upload(mobileconfig())
      const all = await Promise.all(
        Array.from({ length: 20 }, () =>
          profiles.render(db.kysely, { id: made.id, revision: 1, values: DEVICE }),
        ),
      )
      expect(new Set(all.map((one) => one.ok && one.payloadUuid)).size).toBe(1)
      expect(all[0]).toMatchObject({ ok: true, rendering: '' })
      expect(signatures()).toBe(1)
    })

    test.each([
      ['{{user.display_name}}', 'variable_missing', '{{user.display_name}}'],
      ['{{device.udid}}{{secret.unknown}}', 'variable_missing', '{{device.udid}}, {{secret.unknown}}'],
      ['{{secret.odd}}', 'variable_invalid', '{{secret.odd}}'],
    ])('is nothing for %s', async (text, reason, names) => {
      const { upload, call, profiles, db } = await world()
      await call('PUT', '/secrets/odd', { value: 'a\u0001b' })
      const { body: made } = await upload(mobileconfig({}, payload({ SSID_STR: text })))
      const rendered = await profiles.render(db.kysely, { id: made.id, revision: 1, values: DEVICE })
      expect(rendered).toEqual({ ok: false, reason, detail: expect.stringContaining(names) })
    })
  })
})
