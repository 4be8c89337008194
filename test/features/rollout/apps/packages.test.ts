import { createHash, randomBytes } from 'node:crypto'
import { readdir, readlink, rm, utimes, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { buildBinary, parse } from 'plist'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Db } from '../../../../src/db/index.ts'
import { describeEachEngine, testDatabase, type TestDatabase } from '../../../support/database.ts'
import { as } from '../../../support/http-world.ts'
import { infoPlist, ipa, zip } from '../../../support/zip.ts'
import { appsWorld, INSTANCE, PUBLIC_URL } from './world.ts'

const filesIn = async (folder: string) =>
  readdir(join(folder, 'packages', INSTANCE)).catch(() => [] as string[])
const HOUR_MS = 60 * 60_000

describeEachEngine('hosted apps', (database) => {
  test('a package makes a revision, and its manifest leads to it', async () => {
    const world = await appsWorld(database())
    const { call, address, emitted, folder } = world
    // More than one part of ten megabytes.
    const bytes = ipa(infoPlist(), [
      { name: 'Payload/Till.app/till', content: randomBytes(11_000_000), isStored: true },
    ])
    const stored = await world.hosted(bytes)
    expect(stored).toMatchObject({
      status: 200,
      body: {
        revision: 2,
        released_revision: 2,
        identifier: 'com.example.till',
        manifest_url: null,
        warnings: [],
        package: {
          size: bytes.length,
          sha256: createHash('sha256').update(bytes).digest('hex'),
          version: '42',
          short_version: '1.2.3',
          min_os_version: '16.0',
          display_name: 'Till',
          platforms: ['iPhoneOS'],
        },
      },
    })
    expect(emitted.at(-1)).toMatchObject({
      type: 'app.updated',
      data: { changed: ['package'], revision: 2, released: true },
    })
    const path = await world.pathOf(stored.body.id)
    expect(path).toMatch(/^\/apps\/[\w-]{43}\/manifest\.plist$/)
    expect(JSON.stringify([stored.body, emitted])).not.toContain(path.split('/')[2])
    const manifest = await fetch(`${address}${path}`)
    expect(manifest.headers.get('content-type')).toBe('application/xml')
    const { items } = parse(await manifest.text()) as never as { items: Record<string, never>[] }
    const parts = [bytes.subarray(0, 10_485_760), bytes.subarray(10_485_760)]
    const url = `${PUBLIC_URL}${path.replace('manifest.plist', 'app.ipa')}`
    expect(items).toEqual([
      {
        assets: [
          {
            kind: 'software-package',
            url,
            'sha256-size': 10_485_760,
            sha256s: parts.map((part) => createHash('sha256').update(part).digest('hex')),
          },
        ],
        metadata: {
          'bundle-identifier': 'com.example.till',
          'bundle-version': '42',
          kind: 'software',
          title: 'Till',
        },
      },
    ])
    const got = await fetch(`${address}${url.slice(PUBLIC_URL.length)}`)
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true)
    expect(await filesIn(folder)).toHaveLength(1)
    // The same again is no change.
    const again = await call('PUT', `/apps/${stored.body.id}/package`, bytes)
    expect(again.body).toMatchObject({ revision: 2 })
    expect(again.headers.get('etag')).toBe(stored.headers.get('etag'))
    expect(await filesIn(folder)).toHaveLength(1)
  })

  test('an older revision keeps its package, a rollout releases nothing, a deleted app leaves no file', async () => {
    const world = await appsWorld(database())
    const { call, address, folder, packages, clock } = world
    const first = await world.hosted(ipa())
    const { id } = first.body
    const old = await world.pathOf(id)
    const newer = ipa(infoPlist({ CFBundleVersion: '43' }))
    const second = await call('PUT', `/apps/${id}/package?rollout=true`, newer)
    expect(second.body).toMatchObject({ revision: 3, released_revision: 2, package: { version: '43' } })
    const changed = await call('PATCH', `/apps/${id}`, { configuration: { a: 1 } })
    expect(changed.body).toMatchObject({ revision: 4, package: { version: '43' } })
    expect(await world.pathOf(id)).not.toBe(old)
    expect((await fetch(address + old)).status).toBe(200)
    expect((await fetch(address + old.replace('manifest.plist', 'app.ipa'))).status).toBe(200)
    const other = ipa(infoPlist({ CFBundleIdentifier: 'com.example.other' }))
    expect((await call('PUT', `/apps/${id}/package`, other)).body.code).toBe('identifier_changed')
    expect(await filesIn(folder)).toHaveLength(2)
    clock.advance(2 * HOUR_MS)
    await packages.sweep()
    expect(await filesIn(folder)).toHaveLength(2)
    expect((await call('DELETE', `/apps/${id}`)).status).toBe(204)
    expect((await fetch(address + old)).status).toBe(404)
    await packages.sweep()
    expect(await filesIn(folder)).toEqual([])
  })

  test('an upload for another version, for a store app or for none is refused, and leaves nothing', async () => {
    const { call, folder } = await appsWorld(database())
    const store = await call('POST', '/apps', { kind: 'store', itunes_store_id: 1, name: 'a' })
    const own = await call('POST', '/apps', { kind: 'enterprise', name: 'a' })
    const put = (id: string, headers = {}) => call('PUT', `/apps/${id}/package`, ipa(), headers)
    expect((await put(store.body.id)).status).toBe(409)
    expect((await put('none')).status).toBe(404)
    expect((await put(own.body.id, { 'if-match': '"7"' })).status).toBe(412)
    expect((await put(own.body.id, as('operator'))).status).toBe(403)
    expect((await put(own.body.id, { 'content-type': 'application/zip' })).status).toBe(415)
    expect((await call('PUT', `/apps/${own.body.id}/package`)).body.code).toBe('package_invalid')
    expect(await filesIn(folder)).toEqual([])
  })
})

describe('packages', () => {
  let opened: TestDatabase | undefined
  beforeAll(async () => {
    opened = await testDatabase('postgres')
  })
  afterAll(() => opened?.close())

  const withDatabase = async (body: (db: Db) => Promise<void>) => {
    if (opened === undefined) throw new Error('The database is there in tests alone.')
    await body(opened)
  }

  const plist = infoPlist()
  const info = (content: string | Uint8Array, more = {}) => ({
    name: 'Payload/Till.app/Info.plist',
    content,
    ...more,
  })
  const ENTITIES = plist.replace('<plist', '<!DOCTYPE a [<!ENTITY b "c">]><plist')

  test('what is no IPA is refused with the reason, and leaves nothing', () =>
    withDatabase(async (db) => {
      const { call, folder } = await appsWorld(db)
      const { body } = await call('POST', '/apps', { kind: 'enterprise', name: 'Till' })
      const whole = ipa()
      const bad: [string, Uint8Array, RegExp][] = [
        ['text', Buffer.from('hello'), /no ZIP/],
        ['empty', Buffer.alloc(0), /no ZIP|empty/],
        ['cut', whole.subarray(0, whole.length - 30), /no ZIP/],
        ['nothing in it', zip([]), /no Payload/],
        [
          'only an extension',
          zip([{ name: 'Payload/A.app/B.appex/Info.plist', content: plist }]),
          /no Payload/,
        ],
        ['a path that leads out', zip([info(plist), { name: '../../etc/passwd', content: 'x' }]), /names/],
        ['an absolute path', zip([info(plist), { name: '/etc/passwd', content: 'x' }]), /names/],
        ['a back slash', zip([info(plist), { name: 'a\\b', content: 'x' }]), /names/],
        ['encrypted', zip([info(plist, { isEncrypted: true })]), /encrypted/],
        ['two apps', ipa(plist, [{ name: 'Payload/B.app/Info.plist', content: plist }]), /more than one/],
        ['one app and a half', ipa(plist, [{ name: 'Payload/B.app/b', content: 'b' }]), /more than one/],
        ['one list twice', zip([info(plist), info(plist)]), /more than one/],
        ['a list of 3 MB', zip([info(Buffer.alloc(3_000_000))]), /larger/],
        ['a list that lies', zip([info(Buffer.alloc(3_000_000), { declaredSize: 100 })]), /damaged/],
        [
          'a bomb',
          zip([info(plist), { name: 'Payload/Till.app/big', content: 'x', declaredSize: 2 ** 32 - 2 }]),
          /unpack/,
        ],
        ['no list', zip([info('hello')]), /cannot be read|no dictionary/],
        ['entities', zip([info(ENTITIES)]), /entities/],
        ['deep', zip([info(`<plist>${'<array>'.repeat(100_000)}</plist>`)]), /cannot be read/],
        ['an array', zip([info('<plist><array><string>a</string></array></plist>')]), /no dictionary/],
        ['a broken binary', zip([info('bplist00hello')]), /cannot be read/],
        ['no identifier', zip([info(infoPlist({ CFBundleIdentifier: 'a b' }))]), /CFBundleIdentifier/],
        ['no version', zip([info(infoPlist({ CFBundleVersion: '' }))]), /CFBundleVersion/],
      ]
      for (const [name, bytes, detail] of bad) {
        const answer = await call('PUT', `/apps/${body.id}/package`, bytes)
        expect([name, answer.status, answer.body.code]).toEqual([name, 422, 'package_invalid'])
        expect([name, answer.body.detail]).toEqual([name, expect.stringMatching(detail)])
      }
      expect(await filesIn(folder)).toEqual([])
      expect((await call('GET', `/apps/${body.id}`)).body).toMatchObject({ revision: 1, package: null })
    }))

  test('a binary Info.plist is read as well', () =>
    withDatabase(async (db) => {
      const { hosted } = await appsWorld(db)
      const bytes = buildBinary({
        CFBundleIdentifier: 'com.example.b',
        CFBundleVersion: '7',
        CFBundleName: 'Bé',
      })
      const stored = await hosted(ipa(bytes))
      expect(stored.body).toMatchObject({
        identifier: 'com.example.b',
        package: { version: '7', short_version: null, display_name: 'Bé', platforms: [] },
      })
    }))

  test('too large a package is refused by what it says and by what comes, and one cut off leaves nothing', () =>
    withDatabase(async (db) => {
      const { call, folder, address } = await appsWorld(db, { limit: 200_000 })
      const { body } = await call('POST', '/apps', { kind: 'enterprise', name: 'Till' })
      const url = `/apps/${body.id}/package`
      const large = Buffer.alloc(300_000)
      expect((await call('PUT', url, large)).body.code).toBe('payload_too_large')
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue(large)
          controller.close()
        },
      })
      expect((await call('PUT', url, stream)).body.code).toBe('payload_too_large')
      const upload = request(`${address}/api/v1${url}`, {
        method: 'PUT',
        headers: { ...as('admin'), 'content-type': 'application/octet-stream', 'content-length': 150_000 },
      })
      upload.on('error', () => undefined)
      upload.write(Buffer.alloc(100_000))
      await expect.poll(() => filesIn(folder)).toHaveLength(1)
      upload.destroy()
      await expect.poll(() => filesIn(folder)).toEqual([])
      expect((await call('GET', `/apps/${body.id}`)).body.revision).toBe(1)
    }))

  test('an upload may take longer than other requests', () =>
    withDatabase(async (db) => {
      const { call, address, folder } = await appsWorld(db)
      const { body } = await call('POST', '/apps', { kind: 'enterprise', name: 'Till' })
      const bytes = ipa()
      const answer = new Promise<number | undefined>((resolve, reject) => {
        const upload = request(`${address}/api/v1/apps/${body.id}/package`, {
          method: 'PUT',
          headers: {
            ...as('admin'),
            'content-type': 'application/octet-stream',
            'content-length': bytes.length,
          },
        })
        upload.on('error', reject)
        upload.on('response', (response) => resolve(response.resume().statusCode))
        upload.write(bytes.subarray(0, 100))
        // Twice the time that this server gives others.
        setTimeout(() => upload.end(bytes.subarray(100)), 2_200)
      })
      expect(await answer).toBe(200)
      expect(await filesIn(folder)).toHaveLength(1)
    }))

  test('parts, heads and conditions are as RFC 9110 has them', () =>
    withDatabase(async (db) => {
      const world = await appsWorld(db)
      const bytes = ipa()
      const { body } = await world.hosted(bytes)
      const path = (await world.pathOf(body.id)).replace('manifest.plist', 'app.ipa')
      const get = async (headers: Record<string, string> = {}, method = 'GET') => {
        const response = await fetch(world.address + path, { method, headers })
        const got = Buffer.from(await response.arrayBuffer())
        return { status: response.status, got, of: (name: string) => response.headers.get(name) }
      }
      const whole = await get()
      const etag = whole.of('etag') ?? ''
      expect([whole.status, whole.of('content-length'), whole.of('accept-ranges')]).toEqual([
        200,
        String(bytes.length),
        'bytes',
      ])
      const size = bytes.length
      const parts: [string, number, number][] = [
        ['bytes=0-9', 0, 10],
        ['bytes=5-', 5, size],
        ['bytes=-7', size - 7, size],
        [`bytes=-${size * 2}`, 0, size],
        [`bytes=10-${size * 3}`, 10, size],
        [`bytes=${size - 1}-`, size - 1, size],
      ]
      for (const [range, from, to] of parts) {
        const part = await get({ range })
        expect([range, part.status, part.of('content-range')]).toEqual([
          range,
          206,
          `bytes ${from}-${to - 1}/${size}`,
        ])
        expect(part.got.equals(bytes.subarray(from, to))).toBe(true)
      }
      for (const range of ['bytes=9-5', 'bytes=a-b', 'bytes=-', 'lines=1-2', 'bytes=0-1,4-5', 'bytes']) {
        const answer = await get({ range })
        expect([range, answer.status, answer.got.length]).toEqual([range, 200, size])
      }
      for (const range of [`bytes=${size}-`, 'bytes=-0', 'bytes=999999999999-']) {
        const answer = await get({ range })
        expect([range, answer.status, answer.of('content-range')]).toEqual([range, 416, `bytes */${size}`])
      }
      expect((await get({ range: 'bytes=0-1', 'if-range': etag })).status).toBe(206)
      expect((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200)
      expect((await get({ 'if-none-match': `"a", ${etag}` })).status).toBe(304)
      const head = await get({ range: 'bytes=0-1' }, 'HEAD')
      expect([head.status, head.of('content-length'), head.got.length]).toEqual([200, String(size), 0])
      const manifest = await fetch(world.address + (await world.pathOf(body.id)), { method: 'HEAD' })
      expect(manifest.status).toBe(200)
      expect(Number(manifest.headers.get('content-length'))).toBeGreaterThan(500)
      const unknown = `/apps/${'A'.repeat(43)}/app.ipa`
      for (const wrong of [unknown, '/apps/x/app.ipa', '/apps/%00/manifest.plist', `${path}/x`, '/apps/']) {
        expect([wrong, (await fetch(world.address + wrong)).status]).toEqual([wrong, 404])
      }
      expect((await fetch(world.address + path, { method: 'POST' })).status).toBe(405)
    }))

  test('a device that goes away leaves no file open', () =>
    withDatabase(async (db) => {
      const world = await appsWorld(db)
      const content = randomBytes(30_000_000)
      const { body } = await world.hosted(
        ipa(infoPlist(), [{ name: 'Payload/Till.app/till', content, isStored: true }]),
      )
      const path = (await world.pathOf(body.id)).replace('manifest.plist', 'app.ipa')
      const openFiles = async () => {
        const names = await readdir('/proc/self/fd')
        const links = await Promise.all(
          names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
        )
        return links.filter((link) => link.endsWith('.ipa')).length
      }
      const clients = Array.from({ length: 5 }, () => {
        const client = request(world.address + path)
        client.on('error', () => undefined)
        client.on('response', (response) => {
          response.on('error', () => undefined)
          response.once('data', () => response.pause())
        })
        client.end()
        return client
      })
      await expect.poll(openFiles).toBe(5)
      clients.forEach((client) => client.destroy())
      await expect.poll(openFiles).toBe(0)
    }))

  test('a lost file is told, and mended by the same upload; what a killed process left is swept', () =>
    withDatabase(async (db) => {
      const world = await appsWorld(db)
      const { folder, call, address, packages, logged } = world
      const { body } = await world.hosted(ipa())
      const path = (await world.pathOf(body.id)).replace('manifest.plist', 'app.ipa')
      const place = join(folder, 'packages', INSTANCE)
      const [name = ''] = await filesIn(folder)
      await rm(join(place, name))
      expect((await fetch(address + path)).status).toBe(404)
      expect(logged().map(({ event }) => event)).toContain('app.package_missing')
      expect((await call('PUT', `/apps/${body.id}/package`, ipa())).body.revision).toBe(2)
      expect((await fetch(address + path)).status).toBe(200)
      const left = ['00000000-0000-7000-8000-000000000001.part', '00000000-0000-7000-8000-000000000002.ipa']
      for (const each of [...left, 'notes.txt']) await writeFile(join(place, each), 'x')
      await packages.sweep()
      expect(await filesIn(folder)).toHaveLength(4)
      const old = new Date(Date.now() - 2 * HOUR_MS)
      for (const each of [...left, 'notes.txt', name]) await utimes(join(place, each), old, old)
      await packages.sweep()
      expect((await filesIn(folder)).toSorted()).toEqual([name, 'notes.txt'].toSorted())
      expect((await fetch(address + path)).status).toBe(200)
    }))
})
