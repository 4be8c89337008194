import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { newId } from '../../src/kernel/ids.ts'
import { createTokenKeyPair, sealServerToken } from '../../src/protocol/ade/index.ts'
import { parseCertificate, readPem } from '../../src/protocol/x509/index.ts'
import { adeTroubles } from '../support/ade-troubles.ts'
import { startAdeApp, type AdeApp } from '../support/ade-app.ts'
import { adeOperator, type AdeOperator } from '../support/ade-operator.ts'
import { openAgain, testDatabase, type TestDatabase } from '../support/database.ts'

// Whole servers with databases of their own: the limit is for what hangs, not for a busy machine.
/** How long a call that was begun may take to arrive on a busy machine. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const certificateOf = (pem: string) => parseCertificate(readPem(pem)[0]!.der)
const serials = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index).padStart(5, '0')}`)

describe('trust and syncs as in Intune', () => {
  let database: TestDatabase
  let world: AdeApp
  let admin: AdeOperator
  beforeAll(async () => {
    database = await testDatabase('postgres')
    world = await startAdeApp({ db: await openAgain(database) })
    admin = adeOperator(world)
    await admin.removeServers()
  })
  afterEach(() => admin.removeServers())
  afterAll(async () => {
    await world.close()
    await database.close()
  })
  const shown = async (id: string) => (await world.api('GET', `/ade-servers/${id}`)).body

  test('the .pem stays the same until a new key is asked for, and a staged key waits for its token', async () => {
    const id = await admin.server('Keys', ['K1'])
    const first = await admin.key(id)
    expect(first).toMatch(/^-----BEGIN CERTIFICATE-----/)
    expect(await admin.key(id)).toBe(first)
    expect((await world.api('POST', `/ade-servers/${id}/encryption-key`)).status).toBe(201)
    const staged = await admin.key(id)
    expect(staged).not.toBe(first)
    expect(await admin.key(id)).toBe(staged)
    expect((await shown(id)).key_staged).toBe(true)
    expect(await admin.sync(id)).toMatchObject({ state: 'succeeded' })
    expect((await admin.put(id, world.fake.portal.renew('Keys', { certificatePem: staged }))).status).toBe(
      200,
    )
    expect(await admin.key(id)).toBe(staged)
    const late = await admin.put(id, world.fake.portal.renew('Keys', { certificatePem: first }))
    expect([late.status, late.body.code]).toEqual([422, 'token_for_another_key'])
  })

  test('a server token is refused with a reason of its own, and changes nothing', async () => {
    const id = await admin.server('Tokens', ['T1'])
    const now = world.clock.now().getTime()
    const [row] = await database.kysely
      .selectFrom('ade_servers')
      .select('consumer_key')
      .where('id', '=', id)
      .execute()
    const consumerKey = row!.consumer_key!
    const sealed = async (changes: Record<string, unknown>, pem?: string) => {
      const token = {
        ...{ consumerKey, consumerSecret: 'CS', accessToken: 'AT', accessSecret: 'AS' },
        ...{ expiresAt: new Date(now + 300 * DAY), ...changes },
      }
      return Buffer.from(sealServerToken(token, certificateOf(pem ?? (await admin.key(id)))))
    }
    const stranger = await createTokenKeyPair({ name: 'Stranger', now: world.clock.now() })
    const foreign = Buffer.from(
      sealServerToken(
        { consumerKey, consumerSecret: 'CS', accessToken: 'AT', accessSecret: 'AS', expiresAt: new Date() },
        stranger.certificate,
      ),
    )
    const before = await shown(id)
    for (const [file, query, status, code] of [
      [Buffer.from('<!doctype html><p>Sign in</p>'), '', 422, 'token_not_smime'],
      [Buffer.alloc(0), '', 422, 'token_not_smime'],
      [Buffer.from(await admin.key(id)), '', 422, 'token_not_smime'],
      [foreign, '', 422, 'token_for_another_key'],
      [await sealed({ accessSecret: '' }), '', 422, 'token_incomplete'],
      [await sealed({ expiresAt: new Date(now - 1_000) }), '?force=true', 422, 'token_expired'],
      [await sealed({ consumerKey: 'CK_other' }), '', 409, 'token_of_another_server'],
      [await sealed({}), '?apple_id=else@example.com', 409, 'token_of_another_apple_id'],
    ] as const) {
      const { status: got, body } = await admin.put(id, file, query)
      expect([got, body.code]).toEqual([status, code])
      expect(body.detail).toMatch(/\w{4}/)
    }
    expect(await shown(id)).toEqual(before)
    expect((await admin.put(id, await sealed({}), '?apple_id=else@example.com&force=true')).status).toBe(200)
    expect((await shown(id)).apple_id).toBe('else@example.com')
  })

  test('the first token starts the first sync, and its serial numbers appear as not_contacted', async () => {
    const id = await admin.server('First', serials('FIRST', 1_200))
    expect((await shown(id)).sync.last).toMatchObject({
      ...{ kind: 'full', state: 'succeeded', trigger: 'first_token' },
      ...{ seen: 1_200, added: 1_200, changed: 0, removed: 0 },
    })
    expect(await admin.device('FIRST00007')).toMatchObject({
      ...{ state: 'not_contacted', policy_id: null, assignment: null, ade_server_id: id },
    })
    const { body } = await world.api('GET', '/ade-devices?state=not_contacted&serial_number=FIRST01199')
    expect(body.items).toHaveLength(1)
  })

  test('a full sync at most once in seven days, counted from its start; an incremental one inside', async () => {
    const id = await admin.server('Week', ['W1', 'W2'])
    const { started_at: start } = (await shown(id)).sync.last
    const nextFull = Date.parse(start) + 7 * DAY
    expect(Date.parse((await shown(id)).sync.next_full_sync_at)).toBe(nextFull)
    world.clock.advance(DAY)
    world.fake.portal.addDevices(['W3'], 'Week')
    const begin = world.fake.calls.length
    await admin.synced(id)
    expect(await admin.sync(id)).toMatchObject({ kind: 'incremental', state: 'succeeded' })
    expect(world.fake.calls.slice(begin).some(({ path }) => path === '/server/devices')).toBe(false)
    expect((await admin.device('W3')).state).toBe('not_contacted')
    world.clock.advance(nextFull - world.clock.now().getTime() - MINUTE)
    await admin.synced(id)
    expect(await admin.sync(id)).toMatchObject({ kind: 'incremental' })
    world.clock.advance(nextFull - world.clock.now().getTime())
    await admin.synced(id)
    expect(await admin.sync(id)).toMatchObject({ kind: 'full', seen: 3, removed: 0 })
  })

  test('a sync has ten minutes to end, is timed out then, and is resumed from its cursor', async () => {
    const id = await admin.server('Slow')
    world.fake.portal.addDevices(serials('SLOW', 1_500), 'Slow')
    world.fake.forgetCursors()
    world.fake.script('/server/devices', 'right', 'hold')
    const { body: run } = await world.api('POST', `/ade-servers/${id}/syncs`)
    expect(Date.parse(run.ends_by) - Date.parse(run.started_at)).toBe(10 * MINUTE)
    await expect.poll(() => world.fake.held()).toBe(1)
    expect((await shown(id)).sync).toMatchObject({
      can_start: false,
      running: true,
      run_ends_by: run.ends_by,
    })
    world.clock.advance(10 * MINUTE)
    expect((await shown(id)).sync.can_start).toBe(true)
    await admin.event('ade_sync.timed_out', ({ data }) => data.sync_id === run.id)
    expect((await world.api('GET', `/ade-servers/${id}/syncs/${run.id}`)).body).toMatchObject({
      ...{ state: 'timed_out', error_code: 'timed_out', seen: 1_000, kind: 'full' },
    })
    world.fake.release()
    const before = world.fake.calls.length
    expect(await admin.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 500, removed: 0 })
    const pages = world.fake.calls.slice(before).filter(({ path }) => path === '/server/devices')
    expect(pages.filter(({ status }) => status === 200)).toHaveLength(1)
    expect((await shown(id)).device_count).toBe(1_500)
  })

  test('the run of a process that died ends at its deadline at the latest', async () => {
    const id = await admin.server('Dead')
    const now = world.clock.now().getTime()
    await database.kysely
      .insertInto('ade_syncs')
      .values({
        ...{
          id: newId(world.clock.now()),
          ade_server_id: id,
          kind: 'incremental',
          state: 'running',
          trigger: 'operator',
        },
        ...{ started_at: new Date(now), ends_by: new Date(now + 10 * MINUTE), worker: 'gone' },
        ...{ worker_until: new Date(now + HOUR), finished_at: null, error: null, error_code: null },
      })
      .execute()
    expect((await shown(id)).sync.can_start).toBe(false)
    expect((await world.api('POST', `/ade-servers/${id}/syncs`)).body.code).toBe('sync_running')
    world.clock.advance(10 * MINUTE - 1)
    expect((await shown(id)).sync.can_start).toBe(false)
    world.clock.advance(1)
    expect((await shown(id)).sync).toMatchObject({ can_start: true, last: { state: 'timed_out' } })
    expect(await admin.sync(id)).toMatchObject({ state: 'succeeded' })
  })

  test('every six hours a sync starts by itself', async () => {
    const id = await admin.server('Scheduled')
    const runs = async () => (await world.api('GET', `/ade-servers/${id}/syncs`)).body.items
    world.fake.portal.addDevices(['SCHED1'], 'Scheduled')
    world.clock.advance(5 * HOUR)
    await admin.until(() => true)
    expect(await runs()).toHaveLength(1)
    world.clock.advance(HOUR)
    await admin.until(async () => (await runs()).length > 1, 500)
    await admin.synced(id)
    expect((await runs())[0]).toMatchObject({ trigger: 'schedule', kind: 'incremental', state: 'succeeded' })
    expect((await admin.device('SCHED1')).state).toBe('not_contacted')
  })

  test('what a finished full sync no longer brings is removed, and can return', async () => {
    const id = await admin.server('Gone', ['G1', 'G2'])
    world.fake.forgetCursors()
    world.fake.portal.removeDevice('G1')
    expect(await admin.sync(id)).toMatchObject({ kind: 'full', removed: 1 })
    expect((await admin.device('G1')).state).toBe('removed')
    expect((await admin.device('G2')).state).toBe('not_contacted')
    world.clock.advance(MINUTE)
    world.fake.portal.addDevices(['G1'], 'Gone')
    expect(await admin.sync(id)).toMatchObject({ kind: 'incremental', added: 1 })
    expect(await admin.device('G1')).toMatchObject({ state: 'not_contacted', removed_at: null })
  })

  test.each(['INVALID_CURSOR', 'EXPIRED_CURSOR'])(
    'a refused cursor (%s) turns the run into a full one, whatever the seven days',
    async (code) => {
      const id = await admin.server(`Refused ${code}`, [`${code.slice(0, 3)}1`])
      world.fake.script('/devices/sync', { status: 400, code })
      expect(await admin.sync(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 1 })
      const { next_full_sync_at: next, last } = (await shown(id)).sync
      expect(Date.parse(next)).toBe(Date.parse(last.started_at) + 7 * DAY)
    },
  )

  test("a forced token of another of Apple's servers resets both the cursor and the seven days", async () => {
    const id = await admin.server('Old', ['O1', 'O2'])
    const file = world.fake.portal.addServer({ name: 'New', certificatePem: await admin.key(id) })
    world.fake.portal.moveDevice('O2', 'New')
    expect((await admin.put(id, file)).body.code).toBe('token_of_another_server')
    expect((await admin.put(id, file, '?force=true')).status).toBe(200)
    expect(await admin.synced(id)).toMatchObject({ kind: 'full', state: 'succeeded', seen: 1 })
    expect((await admin.device('O1')).state).toBe('removed')
    expect((await admin.device('O2')).state).toBe('not_contacted')
  })

  test('unsigned terms and a rejected token stop scheduled syncs in plain words; one by hand always tries', async () => {
    for (const [name, trouble, reason, words] of [
      ['Terms', adeTroubles.termsNotSigned, 'terms_not_signed', /accept them/],
      ['Rejected', adeTroubles.tokenRejected, 'token_rejected', /Download a new one/],
    ] as const) {
      const id = await admin.server(name)
      world.fake.answerAll(trouble)
      expect(await admin.sync(id)).toMatchObject({ state: 'failed', error_code: reason })
      expect(await shown(id)).toMatchObject({ stopped_reason: reason })
      expect((await shown(id)).what_to_do).toMatch(words)
      const event = await admin.event('ade_server.stopped', ({ data }) => data.ade_server_id === id)
      expect(event).toMatchObject({ reason, data: { what_to_do: expect.stringMatching(words) } })
      world.fake.answerAll(null)
      world.clock.advance(7 * HOUR)
      await admin.until(() => true, 3_000)
      expect((await world.api('GET', `/ade-servers/${id}/syncs`)).body.items).toHaveLength(2)
      expect(await admin.sync(id)).toMatchObject({ state: 'succeeded' })
      expect((await shown(id)).stopped_reason).toBeNull()
    }
  })
})

describe('two servers on one database', () => {
  let database: TestDatabase
  let one: AdeApp
  let other: AdeApp
  beforeAll(async () => {
    database = await testDatabase('postgres')
    one = await startAdeApp({ db: await openAgain(database) })
    other = await startAdeApp({ db: await openAgain(database), with: one })
  })
  afterAll(async () => {
    await other.close()
    await one.close()
    await database.close()
  })

  test('while a sync runs another is refused with sync_running, and can_start is false, at both', async () => {
    const admin = adeOperator(one)
    const id = await admin.server('Both', ['B1'])
    one.fake.script('/devices/sync', 'hold')
    const started = await one.api('POST', `/ade-servers/${id}/syncs`)
    expect(started.status).toBe(202)
    for (const world of [one, other]) {
      const refused = await world.api('POST', `/ade-servers/${id}/syncs`)
      expect([refused.status, refused.body.code]).toEqual([409, 'sync_running'])
      const { sync } = (await world.api('GET', `/ade-servers/${id}`)).body
      expect(sync).toMatchObject({ can_start: false, running: true, run_ends_by: started.body.ends_by })
    }
    await expect.poll(() => one.fake.held()).toBe(1)
    one.fake.release()
    await admin.synced(id)
    expect((await other.api('GET', `/ade-servers/${id}`)).body.sync.can_start).toBe(true)
    expect((await other.api('POST', `/ade-servers/${id}/syncs`)).status).toBe(202)
    await admin.synced(id)
    expect(one.fake.violations).toEqual([])
  })

  test('two syncs asked for at the same moment are one', async () => {
    const admin = adeOperator(one)
    const id = await admin.server('Moment', ['M1'])
    one.fake.script('/devices/sync', 'hold')
    const answers = await Promise.all(
      [one, other, one, other].map((world) => world.api('POST', `/ade-servers/${id}/syncs`)),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 409, 409, 409])
    await expect.poll(() => one.fake.held()).toBe(1)
    one.fake.release()
    await admin.synced(id)
  })
})

test('a token that expires is told of 30, 14, 7 and 1 days before, in event, log and metric', async () => {
  const database = await testDatabase('postgres')
  const world = await startAdeApp({ db: await openAgain(database) })
  onTestFinished(async () => {
    await world.close()
    await database.close()
  })
  const admin = adeOperator(world)
  const { body } = await world.api('GET', `/ade-servers/${world.serverId}`)
  const expires = Date.parse(body.token_expires_at)
  const told = async () => (await admin.events('ade_server.token_expiring')).map(({ reason }) => reason)
  const reasons = ['30_days', '14_days', '7_days', '1_days']
  for (const [index, days] of [30, 14, 7, 1].entries()) {
    world.clock.advance(expires - days * DAY - world.clock.now().getTime() - 2 * HOUR)
    await admin.until(() => true, 1_000)
    expect(await told()).toEqual(reasons.slice(0, index))
    world.clock.advance(2 * HOUR)
    await admin.until(async () => (await told()).length > index, HOUR / 10)
    expect(await told()).toEqual(reasons.slice(0, index + 1))
  }
  expect(world.logText()).toContain('"event":"ade_server.token_expiring"')
  const metrics = await (await fetch(`${world.url}/metrics`)).text()
  expect(metrics).toMatch(/expires\w*\{[^}]*kind="ade_token"[^}]*\} \d/)
})
